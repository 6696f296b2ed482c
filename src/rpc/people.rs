//! `people.*`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::person::Person;
use crate::domain::secret::Secret;
use crate::domain::text::NAME_PATTERN;
use crate::domain::token::{Grant, Role};
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::pipelines::given;
use crate::rpc::schema::{FREE_TEXT, NAME_CURSOR};
use crate::services;
use crate::services::people::{CreatePerson, PersonChange};
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Gives somebody an account.
        mutation people.create = POST "/people" -> 201 at "/people/{id}", Admin, create;
        /// Returns a person.
        query people.get = GET "/people/{person}", Admin, get;
        /// Lists people by login.
        query people.list = GET "/people", Admin, list;
        /// Changes a person: it holds at once, also for their tokens. An absent field is left as it is. Who is disabled
        /// is signed out everywhere.
        mutation people.update = PATCH "/people/{person}", Admin, update;
        /// Deletes an account with its sessions and tokens.
        mutation people.delete = DELETE "/people/{person}", Admin, delete;
        /// Gives somebody a new password, and signs them out everywhere.
        mutation people.setPassword = PUT "/people/{person}/password", Admin, set_password;
    }
}

/// A person to be given an account.
#[derive(Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreatePersonInput {
    /// What they sign in with, in whichever case: letters, digits, spaces and `. _ - /`.
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    login: String,
    /// As people call them; the login if it is absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    name: Option<String>,
    /// Where they are written to.
    #[serde(default)]
    #[schemars(length(min = 1, max = 254), regex(pattern = FREE_TEXT))]
    email: Option<String>,
    /// Without it, they cannot sign in with one.
    #[serde(default)]
    #[schemars(length(min = 10, max = 200), regex(pattern = FREE_TEXT))]
    password: Option<String>,
    /// Who they are at the provider of single sign-on: the claim `sub` of its tokens. Without it, they cannot sign in
    /// there, unless they are given another account when they do.
    #[serde(default)]
    #[schemars(length(min = 1, max = 255), regex(pattern = FREE_TEXT))]
    subject: Option<String>,
    /// What they may do to everything; null or absent: nothing but what `grants` say.
    #[serde(default)]
    role: Option<Role>,
    /// What they may do to single pipelines beyond that.
    #[serde(default)]
    #[schemars(length(max = 100))]
    grants: Option<Vec<Grant>>,
}

async fn create(ctx: Ctx, input: CreatePersonInput) -> Result<Person> {
    let CreatePersonInput { login, name, email, password, subject, role, grants } = input;
    let grants = grants.unwrap_or_default();
    let password = password.map(Secret::new);
    let request = CreatePerson { login, name, email, password, subject, role, grants };
    services::people::create(&ctx.app, request).await
}

/// Which person.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PersonInput {
    /// Their id or login.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    person: String,
}

async fn get(ctx: Ctx, input: PersonInput) -> Result<Person> {
    services::people::get(&ctx.app, &input.person).await
}

/// Which part of the list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListPeopleInput {
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_CURSOR))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Part of the login, in upper or lower case.
    #[serde(default)]
    #[schemars(length(max = 200), regex(pattern = FREE_TEXT))]
    search: Option<String>,
}

async fn list(ctx: Ctx, input: ListPeopleInput) -> Result<Page<Person>> {
    let page = PageRequest { limit: input.limit.unwrap_or(LIMIT_DEFAULT), cursor: input.cursor };
    services::people::list(&ctx.app, input.search.as_deref(), page).await
}

/// What changes: an absent field is left as it is.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdatePersonInput {
    /// Their id or login.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    person: String,
    /// As people call them. Cannot be cleared: null leaves it as it is.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    name: Option<String>,
    /// Null clears it.
    #[serde(deserialize_with = "given", default)]
    #[schemars(length(min = 1, max = 254), regex(pattern = FREE_TEXT))]
    email: Option<Option<String>>,
    /// Null takes their role in everything away.
    #[serde(deserialize_with = "given", default)]
    role: Option<Option<Role>>,
    /// All that they are granted from now on. Null leaves it as it is.
    #[serde(default)]
    #[schemars(length(max = 100))]
    grants: Option<Vec<Grant>>,
    /// Null leaves it as it is.
    #[serde(default)]
    disabled: Option<bool>,
    /// Who they are at the provider of single sign-on: the claim `sub` of its tokens. Null: they do not sign in there.
    #[serde(deserialize_with = "given", default)]
    #[schemars(length(min = 1, max = 255), regex(pattern = FREE_TEXT))]
    subject: Option<Option<String>>,
}

async fn update(ctx: Ctx, input: UpdatePersonInput) -> Result<Person> {
    let UpdatePersonInput { person, name, email, role, grants, disabled, subject } = input;
    let identity = |subject: Option<String>| {
        subject.map(|subject| services::people::identity(&ctx.app, subject)).transpose()
    };
    let identity = subject.map(identity).transpose()?;
    let change = PersonChange { name, email, role, grants, disabled, identity };
    services::people::update(&ctx.app, ctx.actor()?, &person, change).await
}

/// That something was done.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct Done {
    /// Always true.
    pub(super) done: bool,
}

async fn delete(ctx: Ctx, input: PersonInput) -> Result<Done> {
    services::people::delete(&ctx.app, ctx.actor()?, &input.person).await?;
    Ok(Done { done: true })
}

/// Whose password, and which.
#[derive(Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetPasswordInput {
    /// Their id or login.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    person: String,
    /// The new one.
    #[schemars(length(min = 10, max = 200), regex(pattern = FREE_TEXT))]
    password: String,
}

async fn set_password(ctx: Ctx, input: SetPasswordInput) -> Result<Done> {
    services::people::set_password(&ctx.app, &input.person, Secret::new(input.password)).await?;
    Ok(Done { done: true })
}
