//! Accounts, credentials and tokens.

use serde::{Deserialize, Serialize};
use shop_proto::user;
use utoipa::ToSchema;

use super::{BadReply, Id, Page, Patch, Timestamp, required, wire_enum};
use crate::problem::Problem;

wire_enum! {
    /// What a user may do: an admin all that staff may, staff all that a customer may.
    Role = user::Role { Customer, Staff, Admin }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "0198c9a5-7d3e-7c4e-9d0a-3f1f5f0a1b2c", "email": "ada@example.com", "display_name": "Ada", "role": "customer",
    "disabled": false, "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:00:00Z"
})))]
pub(crate) struct User {
    /// Its id.
    pub id: Id,
    /// As it was given, trimmed.
    pub email: String,
    /// What the user is called.
    pub display_name: String,
    /// What the user may do.
    pub role: Role,
    /// Whether an admin has locked the account.
    pub disabled: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A page of them.
pub(crate) type UserPage = Page<User>;

impl TryFrom<user::User> for User {
    type Error = BadReply;

    fn try_from(wire: user::User) -> Result<Self, BadReply> {
        Ok(Self {
            id: wire.id.try_into()?,
            email: wire.email,
            display_name: wire.display_name,
            role: Role::from_wire(wire.role)?.ok_or(BadReply("role"))?,
            disabled: wire.disabled,
            created_at: required(wire.created_at, "created_at")?,
            updated_at: required(wire.updated_at, "updated_at")?,
        })
    }
}

/// Who registers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"email": "ada@example.com", "password": "correct horse battery", "display_name": "Ada"})))]
pub struct NewUser {
    /// Compared without regard to case; unique.
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    /// Not among the commonest.
    #[schema(min_length = 12, max_length = 128, format = Password)]
    pub password: String,
    /// What the user is called.
    #[schema(min_length = 1, max_length = 100)]
    pub display_name: String,
}

impl From<NewUser> for user::RegisterRequest {
    fn from(new: NewUser) -> Self {
        Self { email: new.email, password: new.password, display_name: new.display_name }
    }
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"email": "ada@example.com", "password": "correct horse battery"})))]
pub(crate) struct Credentials {
    /// The account's e-mail.
    pub email: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
}

/// A refresh token to trade or to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"refresh_token": "k1cZ..."})))]
pub struct RefreshToken {
    /// From the last login or refresh.
    pub refresh_token: String,
}

impl From<RefreshToken> for user::RefreshRequest {
    fn from(token: RefreshToken) -> Self {
        Self { refresh_token: token.refresh_token }
    }
}

impl From<RefreshToken> for user::LogoutRequest {
    fn from(token: RefreshToken) -> Self {
        Self { refresh_token: token.refresh_token }
    }
}

/// How an access token is presented (RFC 6750).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) enum TokenType {
    /// `Authorization: Bearer <access_token>`.
    Bearer,
}

/// What a session's calls are made with.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({
    "access_token": "eyJhbGciOiJFZERTQSJ9...", "refresh_token": "k1cZ...", "token_type": "Bearer", "expires_in": 300
})))]
pub(crate) struct Tokens {
    /// A JWT for the header `Authorization`.
    pub access_token: String,
    /// For one use: `POST /auth/refresh` gives the next.
    pub refresh_token: String,
    /// How the access token is presented.
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: i64,
}

impl From<user::Tokens> for Tokens {
    fn from(wire: user::Tokens) -> Self {
        Self {
            access_token: wire.access_token,
            refresh_token: wire.refresh_token,
            token_type: TokenType::Bearer,
            expires_in: wire.expires_in,
        }
    }
}

/// A new password, and the present one as proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"current_password": "correct horse battery", "new_password": "staple correct horse"})))]
pub(crate) struct PasswordChange {
    /// The present password.
    #[schema(format = Password)]
    pub current_password: String,
    /// Not among the commonest.
    #[schema(min_length = 12, max_length = 128, format = Password)]
    pub new_password: String,
}

impl PasswordChange {
    /// The call that changes a user's password.
    pub(crate) fn into_request(self, user_id: String) -> user::ChangePasswordRequest {
        let Self { current_password, new_password } = self;
        user::ChangePasswordRequest { user_id, current_password, new_password }
    }
}

/// Changes to one's own profile (JSON Merge Patch): what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"display_name": "Countess Lovelace"})))]
pub(crate) struct ProfilePatch {
    /// What the user is called.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    pub display_name: Patch<String>,
}

impl ProfilePatch {
    /// The call that changes a user's profile.
    pub(crate) fn into_request(self, user_id: String) -> Result<user::UpdateProfileRequest, Problem> {
        Ok(user::UpdateProfileRequest { user_id, display_name: self.display_name.never_null("/display_name")? })
    }
}

/// Changes to an account by an admin (JSON Merge Patch): what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"role": "staff"})))]
pub(crate) struct UserPatch {
    /// What the user may do.
    #[serde(default)]
    #[schema(value_type = Role, required = false)]
    pub role: Patch<Role>,
    /// Whether the account is locked.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub disabled: Patch<bool>,
}

impl UserPatch {
    /// The call that changes an account.
    pub(crate) fn into_request(self, user_id: Id) -> Result<user::UpdateUserRequest, Problem> {
        let role = self.role.never_null("/role")?.map(|role| user::Role::from(role).into());
        let disabled = self.disabled.never_null("/disabled")?;
        Ok(user::UpdateUserRequest { user_id: user_id.into(), role, disabled })
    }
}
