//! Queries on people.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::ids::PersonId;
use crate::domain::person::{Identity, Person};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::token::{Grant, Role};
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, containing, json, millis, role_text};
use crate::store::entities::{person, token};
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};

/// A password as it is kept: argon2id, in the form of PHC strings.
pub type PasswordHash = Secret<String>;

/// What `update` changes; none: left as it is.
#[derive(Debug, Clone, Default)]
pub struct PersonChange {
    pub name: Option<String>,
    pub email: Option<Option<String>>,
    pub role: Option<Option<Role>>,
    pub grants: Option<Vec<Grant>>,
    pub disabled: Option<bool>,
    pub identity: Option<Option<Identity>>,
}

/// Adds a person. `Conflict` if the login or the identity is somebody's.
pub async fn insert(store: &Store, person: &Person, password: Option<&PasswordHash>) -> Result<()> {
    let row = person::ActiveModel {
        id: Set(person.id.to_string()),
        login: Set(person.login.clone()),
        name: Set(person.name.clone()),
        email: Set(person.email.clone()),
        password_hash: Set(password.map(|hash| hash.reveal().clone())),
        role: Set(role_text(person.role).to_owned()),
        grants: Set(json(&person.grants)?),
        disabled: Set(person.disabled),
        issuer: Set(person.identity.as_ref().map(|identity| identity.issuer.clone())),
        subject: Set(person.identity.as_ref().map(|identity| identity.subject.clone())),
        created_at: Set(person.created_at.as_millis()),
        signed_in_at: Set(millis(person.signed_in_at)),
    };
    person::Entity::insert(row).exec_without_returning(&store.writer).await.doing_unless(
        "adding a person",
        || match &person.identity {
            None => format!("there is a person named {} already", person.login),
            Some(_) => format!("there is a person named {}, or with this subject, already", person.login),
        },
    )?;
    Ok(())
}

pub async fn find(store: &Store, id: &PersonId) -> Result<Option<Person>> {
    let row =
        person::Entity::find_by_id(id.as_str()).one(&store.reader).await.doing("looking up a person")?;
    row.map(read).transpose()
}

/// With the hash of their password.
pub async fn find_by_login(store: &Store, login: &str) -> Result<Option<(Person, Option<PasswordHash>)>> {
    let row = by_login(login).one(&store.reader).await.doing("looking up a person")?;
    row.map(|mut row| {
        let hash = row.password_hash.clone().map(Secret::new);
        row.password_hash = row.password_hash.map(|_| String::new());
        Ok((read(row)?, hash))
    })
    .transpose()
}

pub(super) fn by_login(login: &str) -> Select<person::Entity> {
    person::Entity::find().filter(person::Column::Login.eq(login))
}

pub async fn find_by_identity(store: &Store, identity: &Identity) -> Result<Option<Person>> {
    let row = by_identity(identity).one(&store.reader).await.doing("looking up a person")?;
    row.map(read).transpose()
}

pub(super) fn by_identity(identity: &Identity) -> Select<person::Entity> {
    person::Entity::find()
        .filter(person::Column::Issuer.eq(identity.issuer.as_str()))
        .filter(person::Column::Subject.eq(identity.subject.as_str()))
}

/// By login, ascending; `search` is part of it, in either case.
pub async fn list(store: &Store, search: Option<&str>, page: PageRequest) -> Result<Page<Person>> {
    let rows =
        list_query(search, page.after()?, page.rows()).all(&store.reader).await.doing("listing people")?;
    let people = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.page(people, |person| &person.login))
}

pub(super) fn list_query(search: Option<&str>, after: Option<String>, rows: u64) -> Select<person::Entity> {
    let mut query = person::Entity::find().order_by_asc(person::Column::Login).limit(rows);
    if let Some(login) = after {
        query = query.filter(person::Column::Login.gt(login));
    }
    if let Some(search) = search {
        query = query.filter(person::Column::Login.like(containing(search)));
    }
    query
}

/// Whether there is such a person. `Conflict` if the identity is somebody else's.
pub async fn update(store: &Store, id: &PersonId, change: PersonChange) -> Result<bool> {
    let (issuer, subject) = match change.identity {
        None => (NotSet, NotSet),
        Some(None) => (Set(None), Set(None)),
        Some(Some(Identity { issuer, subject })) => (Set(Some(issuer)), Set(Some(subject))),
    };
    let row = person::ActiveModel {
        issuer,
        subject,
        name: change.name.map_or(NotSet, Set),
        email: change.email.map_or(NotSet, Set),
        role: change.role.map_or(NotSet, |role| Set(role_text(role).to_owned())),
        grants: match change.grants {
            Some(grants) => Set(json(&grants)?),
            None => NotSet,
        },
        disabled: change.disabled.map_or(NotSet, Set),
        ..Default::default()
    };
    // A statement that sets nothing would be none.
    let update = person::Entity::update_many()
        .col_expr(person::Column::Id, Expr::value(id.as_str()))
        .set(row)
        .filter(person::Column::Id.eq(id.as_str()));
    let taken = || "this subject is somebody else's".to_owned();
    Ok(0 < update.exec(&store.writer).await.doing_unless("changing a person", taken)?.rows_affected)
}

pub async fn set_password(store: &Store, id: &PersonId, hash: &PasswordHash) -> Result<bool> {
    let update = person::Entity::update_many()
        .col_expr(person::Column::PasswordHash, Expr::value(hash.reveal().as_str()))
        .filter(person::Column::Id.eq(id.as_str()));
    Ok(0 < update.exec(&store.writer).await.doing("changing a password")?.rows_affected)
}

pub async fn note_sign_in(store: &Store, id: &PersonId, now: Timestamp) -> Result<()> {
    let update = person::Entity::update_many()
        .col_expr(person::Column::SignedInAt, Expr::value(now.as_millis()))
        .filter(person::Column::Id.eq(id.as_str()));
    update.exec(&store.writer).await.doing("noting a sign-in")?;
    Ok(())
}

/// Deletes a person with all their sessions and tokens. Whether there was one.
pub async fn delete(store: &Store, id: &PersonId) -> Result<bool> {
    const DOING: &str = "deleting a person";
    let tx = store.begin(DOING).await?;
    let tokens = token::Entity::delete_many().filter(token::Column::PersonId.eq(id.as_str()));
    tokens.exec(&tx).await.doing(DOING)?;
    let deleted = person::Entity::delete_by_id(id.as_str()).exec(&tx).await.doing(DOING)?;
    tx.commit().await.doing(DOING)?;
    Ok(0 < deleted.rows_affected)
}

fn read(row: person::Model) -> Result<Person> {
    const READER: Reader = Reader("reading a row of people");
    Ok(Person {
        id: READER.id("id", &row.id)?,
        login: row.login,
        name: row.name,
        email: row.email,
        role: READER.role(&row.role)?,
        grants: READER.json("grants", &row.grants)?,
        disabled: row.disabled,
        has_password: row.password_hash.is_some(),
        identity: row.issuer.zip(row.subject).map(|(issuer, subject)| Identity { issuer, subject }),
        created_at: Timestamp::from_millis(row.created_at),
        signed_in_at: Reader::at(row.signed_in_at),
    })
}
