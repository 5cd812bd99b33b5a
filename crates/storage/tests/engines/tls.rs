//! TLS to a server: whoever checks whom it talks to talks to nobody else.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use secrecy::SecretString;
use shop_storage::{Database, DatabaseOptions, StorageError};
use shop_testing::TestDatabase;

/// An authority that signed nothing.
const STRANGER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBrjCCAVOgAwIBAgIULKNUO0lLdIGEtkBYqZbotyE5QCMwCgYIKoZIzj0EAwIw
KzEpMCcGA1UEAwwgYW4gYXV0aG9yaXR5IHRoYXQgc2lnbmVkIG5vdGhpbmcwIBcN
MjYxMTIzMDI0OTU3WhgPMjEyNjEwMzAwMjQ5NTdaMCsxKTAnBgNVBAMMIGFuIGF1
dGhvcml0eSB0aGF0IHNpZ25lZCBub3RoaW5nMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEKfEa7TOLzzT9FxHC70DDdh0ODF4IKWe+cItTv9zWNYJ/fyoU2ur8R9dV
N2fVWdgjpCRyk9zwKsHKerUOKTEkqKNTMFEwHQYDVR0OBBYEFAasUk8z0oIXTgdK
q3iOmH8k3fSSMB8GA1UdIwQYMBaAFAasUk8z0oIXTgdKq3iOmH8k3fSSMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAI0CaVmCp/WEbLIn0gwWOQ1e
DwaMubvaByLdvHvb65zjAiEAosbgFs4hKLcP9ZrDRTp04oLUkvi5AEGLIKGwuDzA
uqg=
-----END CERTIFICATE-----
";
/// Names the authority that signed the certificate of the server.
const AUTHORITY_VARIABLE: &str = "SHOP_TEST_DATABASE_CA";

/// The options to check the server by an authority's certificate in a file, or by those that everybody knows.
fn checked(own: &TestDatabase, authority: Option<&str>) -> DatabaseOptions {
    let url = own.url();
    let address = url.split('?').next().unwrap();
    let (mode, file) = match own.backend() {
        DbBackend::Postgres => ("sslmode=verify-full", "sslrootcert"),
        _ => ("ssl-mode=verify_identity", "ssl-ca"),
    };
    let authority = authority.map(|path| format!("&{file}={path}")).unwrap_or_default();
    DatabaseOptions { database_url: Some(SecretString::from(format!("{address}?{mode}{authority}"))), ..own.options() }
}

async fn is_encrypted(database: &Database) -> bool {
    let sql = match database.backend() {
        DbBackend::Postgres => "SELECT count(*) AS n FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl",
        _ => {
            "SELECT count(*) AS n FROM information_schema.session_status
             WHERE variable_name = 'Ssl_cipher' AND variable_value <> ''"
        }
    };
    let statement = Statement::from_string(database.backend(), sql);
    let row = database.reader().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get::<i64>("", "n").unwrap() == 1
}

#[tokio::test]
async fn a_server_is_believed_that_the_given_authority_vouches_for_and_no_other() {
    let own = TestDatabase::new("test").await;
    if own.backend() == DbBackend::Sqlite {
        return;
    }
    let plain = Database::open("test", &own.options()).await.unwrap();
    assert!(!is_encrypted(&plain).await);
    plain.close().await.unwrap();

    let authority = std::env::var(AUTHORITY_VARIABLE).unwrap();
    let database = Database::open("test", &checked(&own, Some(&authority))).await.unwrap();
    assert!(is_encrypted(&database).await);
    database.close().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join("stranger.pem");
    std::fs::write(&stranger, STRANGER).unwrap();
    for wrong in [Some(stranger.to_str().unwrap()), None] {
        let begun = Instant::now();
        let refused = Database::open("test", &checked(&own, wrong)).await.unwrap_err();
        assert!(matches!(refused, StorageError::Unreachable { .. }), "{wrong:?}: {refused:?}");
        assert!(!refused.is_transient(), "{wrong:?}: waiting does not help: {refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{wrong:?}: {:?}", begun.elapsed());
    }
}
