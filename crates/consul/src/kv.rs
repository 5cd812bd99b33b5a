//! Keys and their values.

use consulrs::api::kv::{
    common::KVPair,
    requests::{DeleteKeyRequest, ReadKeyRequest, SetKeyRequest},
};

use crate::{
    client::{Client, Indexed, Wait, describe},
    error::Error,
};

impl Client {
    /// The value of a key, at once or when it changes; `None` while there is none.
    pub async fn key(&self, key: &str, wait: Option<Wait>) -> Result<Indexed<Option<Vec<u8>>>, Error> {
        let endpoint = ReadKeyRequest { key: key.to_owned(), ..ReadKeyRequest::default() };
        let request = describe(&endpoint);
        let answer = self.query(endpoint, None, wait).await?;
        if answer.status == 404 {
            return Ok(Indexed { index: self.index(&request, &answer)?, value: None });
        }
        let Indexed { index, value } = self.value::<Vec<KVPair>>(&request, &answer)?;
        let value = value.into_iter().next().map(|pair| match pair.value {
            Some(value) => {
                value.try_into().map_err(|error| Error::Client(Box::<consulrs::error::ClientError>::new(error)))
            }
            // A key with an empty value.
            None => Ok(Vec::new()),
        });
        Ok(Indexed { index, value: value.transpose()? })
    }

    /// Sets a key.
    pub async fn set_key(&self, key: &str, value: Vec<u8>) -> Result<(), Error> {
        self.call(SetKeyRequest { key: key.to_owned(), value, ..SetKeyRequest::default() }).await
    }

    /// Removes a key. One that is not there is as good as removed.
    pub async fn remove_key(&self, key: &str) -> Result<(), Error> {
        self.call(DeleteKeyRequest { key: key.to_owned(), ..DeleteKeyRequest::default() }).await
    }
}
