//! A provider of single sign-on, by way of `openidconnect`, which nothing outside notices: the authorization code flow
//! with PKCE, state and nonce, an ID token that is verified, and what else the provider tells when it is asked. Who
//! somebody is here, `services/single_sign_on.rs` decides.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AuthorizationCode, ClaimsVerificationError, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenClaims,
    IdTokenFields, IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, RequestTokenError,
    Scope, SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, SubjectIdentifier,
    TokenResponse as _, UserInfoClaims, UserInfoError,
};
use tokio::sync::Mutex;

use crate::config::{Config, OidcConfig};
use crate::domain::person::Identity;
use crate::domain::secret::Secret;
use crate::domain::time::now;
use crate::error::{Error, Result};
use crate::oidc::claims::{Others, Told};

pub use crate::oidc::claims::{Claims, Email};

mod claims;
mod fetch;

/// Where browsers come back to, below the public address.
pub const CALLBACK: &str = "/auth/oidc/callback";
/// Where they come back to once they are signed out.
pub const SIGNED_OUT: &str = "/auth/oidc/signed-out";
/// What the provider says of itself, with its keys, is asked for anew after so long.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);
/// How long everything that one step of a sign-in asks the provider may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How far the provider's clock may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// As the specification has it.
const SUBJECT_BYTES_MAX: usize = 255;
/// Signed by a key that the provider alone has. Others are not taken, whatever the provider says.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Why nobody was signed in. The texts are for operators, and hold nothing secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// It does not answer, or not as a provider does.
    #[error("the provider of single sign-on: {0}")]
    Away(String),
    /// What it says, or what it was told by the browser, does not prove who somebody is.
    #[error("{0}")]
    Refused(&'static str),
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    pub kept: Kept,
}

/// What the browser keeps of it until it comes back. None of it opens anything without the provider's answer.
#[derive(Debug, Clone)]
pub struct Kept {
    pub state: Secret<String>,
    pub nonce: Secret<String>,
    pub verifier: Secret<String>,
}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        Others,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;
type ProvedToken =
    IdToken<Others, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type OurClient = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: OidcConfig,
    issuer: IssuerUrl,
    redirect_to: RedirectUrl,
    signed_out: PostLogoutRedirectUrl,
    http: reqwest::Client,
    /// What it said of itself, and when.
    known: Mutex<Option<(Instant, Arc<ProviderMetadataWithLogout>)>>,
}

impl Provider {
    /// The one of the settings; none if none is set up.
    pub fn of(config: &Config) -> Result<Option<Self>> {
        let (Some(oidc), Some(public_url)) = (&config.oidc, &config.http.public_url) else { return Ok(None) };
        Self::new(oidc.clone(), public_url).map(Some)
    }

    fn new(config: OidcConfig, public_url: &str) -> Result<Self> {
        let wrong = |error| Error::internal("reading the addresses of single sign-on", error);
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|error| wrong(error.to_string()))?;
        let redirect_to = RedirectUrl::new(format!("{public_url}{CALLBACK}"));
        let redirect_to = redirect_to.map_err(|error| wrong(error.to_string()))?;
        let signed_out = PostLogoutRedirectUrl::new(format!("{public_url}{SIGNED_OUT}"));
        let signed_out = signed_out.map_err(|error| wrong(error.to_string()))?;
        let http = fetch::client()?;
        Ok(Self(Arc::new(Inner { config, issuer, redirect_to, signed_out, http, known: Mutex::default() })))
    }

    /// Whether it answers as a provider does: asked anew.
    pub async fn check(&self) -> Result<(), Failure> {
        in_time(self.discover(Fresh::Now)).await.map(|_| ())
    }

    /// Begins a sign-in.
    pub async fn begin(&self) -> Result<Begun, Failure> {
        let client = self.client(&*in_time(self.discover(Fresh::Enough)).await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge);
        for scope in &self.0.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        if !fetch::is_safe(&url) {
            return Err(Failure::Away(format!(
                "it would have people sign in without TLS, at {}",
                host(&url)
            )));
        }
        let kept = Kept {
            state: Secret::new(state.into_secret()),
            nonce: Secret::new(nonce.secret().clone()),
            verifier: Secret::new(verifier.into_secret()),
        };
        Ok(Begun { url: url.into(), kept })
    }

    /// Who came back with this code.
    pub async fn finish(&self, code: String, kept: &Kept) -> Result<Claims, Failure> {
        in_time(async {
            let metadata = self.discover(Fresh::Enough).await?;
            let mut client = self.client(&metadata);
            let (token, access) = self.exchange(&client, code, kept).await?;
            let nonce = Nonce::new(kept.nonce.reveal().clone());
            let mut claims = verify(&client, &token, &nonce);
            if let Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) = claims
            {
                // It may have new keys.
                client = self.client(&*self.discover(Fresh::Now).await?);
                claims = verify(&client, &token, &nonce);
            }
            let claims = claims.map_err(|error| Failure::Refused(why(&error)))?;
            let identity = self.identify(&claims)?;
            let role_claim = self.0.config.role_claim.as_deref();
            let mut told = Told::by_token(&claims, role_claim);
            if told.is_silent(role_claim)
                && let Some(more) = self.ask(&client, access, claims.subject().clone()).await?
            {
                told = told.or(more);
            }
            Ok(told.of_whom(identity))
        })
        .await
    }

    /// Where a browser goes to be signed out there too, and comes back from; none: the provider has no such place.
    ///
    /// It is told which client asks, and not whom: no ID token is kept for that.
    pub async fn end(&self) -> Result<Option<String>, Failure> {
        let metadata = in_time(self.discover(Fresh::Enough)).await?;
        let Some(place) = metadata.additional_metadata().end_session_endpoint.clone() else {
            return Ok(None);
        };
        if !fetch::is_safe(place.url()) {
            let host = host(place.url());
            return Err(Failure::Away(format!("it would have people sign out without TLS, at {host}")));
        }
        let request = LogoutRequest::from(place)
            .set_client_id(ClientId::new(self.0.config.client_id.clone()))
            .set_post_logout_redirect_uri(self.0.signed_out.clone());
        Ok(Some(request.http_get_url().into()))
    }

    async fn exchange(
        &self,
        client: &OurClient,
        code: String,
        kept: &Kept,
    ) -> Result<(ProvedToken, AccessToken), Failure> {
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Failure::Away("it names no address for tokens".to_owned()))?
            .set_pkce_verifier(PkceCodeVerifier::new(kept.verifier.reveal().clone()));
        let http = |request| fetch::fetch(self.0.http.clone(), request);
        let tokens = request.request_async(&http).await.map_err(|error| match error {
            // Not its words: some providers repeat the code in them.
            RequestTokenError::ServerResponse(response) => match response.error() {
                CoreErrorResponseType::InvalidGrant => {
                    Failure::Refused("the provider does not take the code: it was used, or is too old")
                }
                CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                    Failure::Away(
                        "it does not know oidc.client_id, or oidc.client_secret is another".to_owned(),
                    )
                }
                _ => Failure::Away("it gives no token for the code".to_owned()),
            },
            RequestTokenError::Request(error) => Failure::Away(error.to_string()),
            _ => Failure::Away("its answer to the code is none".to_owned()),
        })?;
        match tokens.id_token() {
            Some(token) => Ok((token.clone(), tokens.access_token().clone())),
            None => Err(Failure::Away("it gives no ID token: is `openid` allowed?".to_owned())),
        }
    }

    fn identify(&self, claims: &IdTokenClaims<Others, CoreGenderClaim>) -> Result<Identity, Failure> {
        // Where a token names a party that it was made for, it must be us.
        if claims.authorized_party().is_some_and(|party| party.as_str() != self.0.config.client_id) {
            return Err(Failure::Refused("the token is for somebody else"));
        }
        let subject = claims.subject().as_str();
        if SUBJECT_BYTES_MAX < subject.len() || subject.contains('\0') {
            return Err(Failure::Refused("the token names nobody"));
        }
        // As the settings have the issuer: accounts that are made beforehand are bound to that.
        Ok(Identity { issuer: self.0.config.issuer.clone(), subject: subject.to_owned() })
    }

    /// What a provider with an address for it says of somebody beyond their token; none: it has no such address.
    async fn ask(
        &self,
        client: &OurClient,
        access: AccessToken,
        subject: SubjectIdentifier,
    ) -> Result<Option<Told>, Failure> {
        let Ok(request) = client.user_info(access, Some(subject)) else { return Ok(None) };
        let http = |request| fetch::fetch(self.0.http.clone(), request);
        let claims: UserInfoClaims<Others, CoreGenderClaim> =
            request.request_async(&http).await.map_err(|error| match error {
                UserInfoError::Request(error) => Failure::Away(error.to_string()),
                UserInfoError::Response(status, ..) => {
                    Failure::Away(format!("it answers {status} when it is asked about somebody"))
                }
                UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => {
                    Failure::Refused("the provider tells of somebody else")
                }
                UserInfoError::ClaimsVerification(_) => {
                    Failure::Refused("what the provider tells of somebody cannot be relied on")
                }
                _ => Failure::Away("what it tells of somebody cannot be read".to_owned()),
            })?;
        Ok(Some(Told::when_asked(&claims, self.0.config.role_claim.as_deref())))
    }

    fn client(&self, metadata: &ProviderMetadataWithLogout) -> OurClient {
        let secret = self.0.config.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.reveal().clone()));
        let id = ClientId::new(self.0.config.client_id.clone());
        let client = OurClient::from_provider_metadata(metadata.clone(), id, secret);
        client.set_redirect_uri(self.0.redirect_to.clone())
    }

    /// One asks, and those who wait beside are told the same.
    async fn discover(&self, fresh: Fresh) -> Result<Arc<ProviderMetadataWithLogout>, Failure> {
        let mut known = self.0.known.lock().await;
        if let Some((at, metadata)) = &*known
            && fresh == Fresh::Enough
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(metadata.clone());
        }
        let http = |request| fetch::fetch(self.0.http.clone(), request);
        let metadata = ProviderMetadataWithLogout::discover_async(self.0.issuer.clone(), &http).await;
        let metadata = metadata.map_err(|error| Failure::Away(fetch::explain(&error)))?;
        let metadata = Arc::new(metadata);
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }
}

/// How new what is known of the provider must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    Enough,
    Now,
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(ANSWER_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(Failure::Away("it does not answer in time".to_owned())))
}

fn verify(
    client: &OurClient,
    token: &ProvedToken,
    nonce: &Nonce,
) -> Result<IdTokenClaims<Others, CoreGenderClaim>, ClaimsVerificationError> {
    let verifier =
        client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(|| earliest_now().into());
    token.clone().into_claims(&verifier, nonce)
}

/// The time, as the clock may have it that is the furthest behind.
fn earliest_now() -> SystemTime {
    let millis = u64::try_from(now().as_millis()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis).saturating_sub(CLOCK_SKEW)
}

/// In our words: the library's name what was found.
fn why(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "the token has expired: are both clocks right?",
        ClaimsVerificationError::InvalidAudience(_) => "the token is for somebody else",
        ClaimsVerificationError::InvalidIssuer(_) => "the token is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "the token is of another sign-in",
        ClaimsVerificationError::SignatureVerification(_) => "the token is not signed by the provider",
        _ => "the token is none that can be taken",
    }
}

fn host(url: &url::Url) -> &str {
    url.host_str().unwrap_or_default()
}
