//! `shop.user.v1.UserService`.

use std::{
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
};

use futures::{Stream, StreamExt as _};
use shop_auth::{Caller, Role, UserCaller, caller};
use shop_proto::user::{self as proto, user_service_server::UserService};
use shop_types::Uuid;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

use super::{convert, status::status};
use crate::{
    app::{Accounts, Addresses, Administration, Error, Feed, Logins, NewAccount, Sessions, UserChange},
    domain::ClientAddress,
};

/// The service that may say where a client calls from.
const GATEWAY: &str = "gateway";

pub(crate) struct Users {
    pub(crate) accounts: Accounts,
    pub(crate) administration: Administration,
    pub(crate) addresses: Addresses,
    pub(crate) logins: Logins,
    pub(crate) sessions: Sessions,
    pub(crate) feed: Feed,
    /// When streams are to end.
    pub(crate) stop: CancellationToken,
}

/// The caller, if the account asked for is theirs. Another's is not there, whatever the caller's role.
fn owner<T>(request: &Request<T>, user_id: &str) -> Result<UserCaller, Status> {
    match caller(request.extensions()) {
        Caller::User(user) if convert::id(user_id) == Some(user.user_id) => Ok(user),
        _ => Err(status(Error::UnknownUser)),
    }
}

fn address_id(text: &str) -> Result<Uuid, Status> {
    convert::id(text).ok_or_else(|| status(Error::UnknownAddress))
}

/// Where the client is: by the gateway's word, else by its connection.
fn client_address<T>(request: &Request<T>, stated: &str) -> ClientAddress {
    let stated = match caller(request.extensions()) {
        Caller::Service(name) if name == GATEWAY => stated.parse().ok(),
        _ => None,
    };
    let peer = || request.remote_addr().map(|peer| peer.ip());
    stated.or_else(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).into()
}

#[async_trait]
impl UserService for Users {
    async fn register(
        &self,
        request: Request<proto::RegisterRequest>,
    ) -> Result<Response<proto::RegisterResponse>, Status> {
        let proto::RegisterRequest { email, password, display_name } = request.into_inner();
        let account = NewAccount::parse(&email, &password, &display_name).map_err(status)?;
        let user = self.accounts.register(account).await.map_err(status)?;
        Ok(Response::new(proto::RegisterResponse { user: Some(user.into()) }))
    }

    async fn login(&self, request: Request<proto::LoginRequest>) -> Result<Response<proto::LoginResponse>, Status> {
        let address = client_address(&request, &request.get_ref().client_address);
        let proto::LoginRequest { email, password, .. } = request.into_inner();
        let tokens = self.logins.login(&email, &password, address).await.map_err(status)?;
        Ok(Response::new(proto::LoginResponse { tokens: Some(tokens.into()) }))
    }

    async fn refresh(
        &self,
        request: Request<proto::RefreshRequest>,
    ) -> Result<Response<proto::RefreshResponse>, Status> {
        let tokens = self.sessions.refresh(&request.get_ref().refresh_token).await.map_err(status)?;
        Ok(Response::new(proto::RefreshResponse { tokens: Some(tokens.into()) }))
    }

    async fn logout(&self, request: Request<proto::LogoutRequest>) -> Result<Response<proto::LogoutResponse>, Status> {
        self.sessions.logout(&request.get_ref().refresh_token).await.map_err(status)?;
        Ok(Response::new(proto::LogoutResponse {}))
    }

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::GetUserResponse>, Status> {
        let caller = caller(request.extensions());
        let asked = convert::id(&request.get_ref().user_id);
        let may_see = |user: &&UserCaller| user.role >= Role::Admin || asked == Some(user.user_id);
        let id = caller.user().filter(may_see).and(asked).ok_or_else(|| status(Error::UnknownUser))?;
        let user = self.accounts.get(id).await.map_err(status)?;
        Ok(Response::new(proto::GetUserResponse { user: Some(user.into()) }))
    }

    async fn update_profile(
        &self,
        request: Request<proto::UpdateProfileRequest>,
    ) -> Result<Response<proto::UpdateProfileResponse>, Status> {
        let id = owner(&request, &request.get_ref().user_id)?.user_id;
        let name = request.get_ref().display_name.as_deref();
        let user = self.accounts.update_profile(id, name).await.map_err(status)?;
        Ok(Response::new(proto::UpdateProfileResponse { user: Some(user.into()) }))
    }

    async fn change_password(
        &self,
        request: Request<proto::ChangePasswordRequest>,
    ) -> Result<Response<proto::ChangePasswordResponse>, Status> {
        let caller = owner(&request, &request.get_ref().user_id)?;
        let proto::ChangePasswordRequest { current_password, new_password, .. } = request.into_inner();
        self.accounts.change_password(&caller, &current_password, &new_password).await.map_err(status)?;
        Ok(Response::new(proto::ChangePasswordResponse {}))
    }

    async fn delete_user(
        &self,
        request: Request<proto::DeleteUserRequest>,
    ) -> Result<Response<proto::DeleteUserResponse>, Status> {
        let id = owner(&request, &request.get_ref().user_id)?.user_id;
        self.accounts.delete(id).await.map_err(status)?;
        Ok(Response::new(proto::DeleteUserResponse {}))
    }

    async fn list_users(
        &self,
        request: Request<proto::ListUsersRequest>,
    ) -> Result<Response<proto::ListUsersResponse>, Status> {
        let proto::ListUsersRequest { limit, cursor } = request.into_inner();
        let page = self.administration.list(limit, &cursor).await.map_err(status)?;
        let users = page.items.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::ListUsersResponse { users, next_cursor: page.next_cursor.unwrap_or_default() }))
    }

    async fn update_user(
        &self,
        request: Request<proto::UpdateUserRequest>,
    ) -> Result<Response<proto::UpdateUserResponse>, Status> {
        let request = request.into_inner();
        let id = convert::id(&request.user_id).ok_or_else(|| status(Error::UnknownUser))?;
        let change = UserChange::try_from(&request).map_err(status)?;
        let user = self.administration.update(id, change).await.map_err(status)?;
        Ok(Response::new(proto::UpdateUserResponse { user: Some(user.into()) }))
    }

    async fn list_addresses(
        &self,
        request: Request<proto::ListAddressesRequest>,
    ) -> Result<Response<proto::ListAddressesResponse>, Status> {
        let owner = owner(&request, &request.get_ref().user_id)?.user_id;
        let proto::ListAddressesRequest { limit, cursor, .. } = request.into_inner();
        let page = self.addresses.list(owner, limit, &cursor).await.map_err(status)?;
        let addresses = page.items.into_iter().map(Into::into).collect();
        let next_cursor = page.next_cursor.unwrap_or_default();
        Ok(Response::new(proto::ListAddressesResponse { addresses, next_cursor }))
    }

    async fn create_address(
        &self,
        request: Request<proto::CreateAddressRequest>,
    ) -> Result<Response<proto::CreateAddressResponse>, Status> {
        let owner = owner(&request, &request.get_ref().user_id)?.user_id;
        let proto::CreateAddressRequest { label, address, .. } = request.get_ref();
        let raw = convert::raw_address(address.as_ref());
        let address = self.addresses.create(owner, label, &raw).await.map_err(status)?;
        Ok(Response::new(proto::CreateAddressResponse { address: Some(address.into()) }))
    }

    async fn update_address(
        &self,
        request: Request<proto::UpdateAddressRequest>,
    ) -> Result<Response<proto::UpdateAddressResponse>, Status> {
        let owner = owner(&request, &request.get_ref().user_id)?.user_id;
        let id = address_id(&request.get_ref().address_id)?;
        let address = self.addresses.update(owner, id, request.into_inner().into()).await.map_err(status)?;
        Ok(Response::new(proto::UpdateAddressResponse { address: Some(address.into()) }))
    }

    async fn delete_address(
        &self,
        request: Request<proto::DeleteAddressRequest>,
    ) -> Result<Response<proto::DeleteAddressResponse>, Status> {
        let owner = owner(&request, &request.get_ref().user_id)?.user_id;
        let id = address_id(&request.get_ref().address_id)?;
        self.addresses.delete(owner, id).await.map_err(status)?;
        Ok(Response::new(proto::DeleteAddressResponse {}))
    }

    async fn validate_user(
        &self,
        request: Request<proto::ValidateUserRequest>,
    ) -> Result<Response<proto::ValidateUserResponse>, Status> {
        let proto::ValidateUserRequest { user_id, address_id } = request.get_ref();
        // The nil id is nobody's, like what can't be an id.
        let id = |text: &str| convert::id(text).unwrap_or(Uuid::nil());
        let address_id = Some(address_id).filter(|text| !text.is_empty()).map(|text| id(text));
        let standing = self.accounts.standing(id(user_id), address_id).await.map_err(status)?;
        Ok(Response::new(standing.into()))
    }

    async fn list_revocations(
        &self,
        request: Request<proto::ListRevocationsRequest>,
    ) -> Result<Response<proto::ListRevocationsResponse>, Status> {
        let (page, more) = self.feed.list(request.get_ref().after_position).await.map_err(status)?;
        let revocations = page.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::ListRevocationsResponse { revocations, more }))
    }

    type WatchRevocationsStream = Pin<Box<dyn Stream<Item = Result<proto::WatchRevocationsResponse, Status>> + Send>>;

    async fn watch_revocations(
        &self,
        request: Request<proto::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let pages = self.feed.watch(request.get_ref().after_position, self.stop.clone()).map_err(status)?;
        let messages = ReceiverStream::new(pages).map(|page| {
            let revocations = page.map_err(status)?.into_iter().map(Into::into).collect();
            Ok(proto::WatchRevocationsResponse { revocations })
        });
        Ok(Response::new(Box::pin(messages)))
    }
}
