//! Mutual TLS between a pool and the servers that the services run.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use shop_discovery::Pool;
use shop_server::{GrpcServer, ServerOptions, Tls, TlsOptions, tls::HandshakeError};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::{
    authority::{Authority, Files, Pair},
    real::{FREE_PORT, Instances, Ledger, Load, RealServer, Said},
    support::{eventually, read, register},
};

#[expect(clippy::unnecessary_wraps, reason = "as a pool takes it")]
fn tls(files: &Files) -> Option<Tls> {
    Some(Tls::load(&files.options(), None).unwrap().unwrap())
}

fn pool(server: &RealServer, files: &Files) -> Pool {
    Instances::of([server]).pool(tls(files))
}

/// A server of the user service with a certificate of this CA, and a client's files of the same.
async fn server_and_client(authority: &Authority) -> (RealServer, Files, Files) {
    let files = Files::new(&authority.issue("user"), &[authority]);
    let server = RealServer::start(&Ledger::default(), files.options()).await;
    (server, files, Files::new(&authority.issue("order"), &[authority]))
}

#[tokio::test]
async fn who_has_certificates_of_one_ca_can_talk() {
    let (server, _files, client) = server_and_client(&Authority::new("ca")).await;
    let pool = pool(&server, &client);
    register(&pool).await.unwrap();
    read(&pool).await.unwrap();
}

/// What a server says to a client that trusts its CA and shows no certificate.
async fn without_certificate(server: &RealServer, authority: &Authority) -> HandshakeError {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("user").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.unwrap();
    HandshakeError::of(stream.read_u8().await.unwrap_err()).unwrap()
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused_and_told() {
    let said = Said::from_here_on();
    let authority = Authority::new("ca");
    let (server, _files, _) = server_and_client(&authority).await;
    let error = without_certificate(&server, &authority).await;
    assert_eq!(error.to_string(), "the peer refused us");
    said.has("the peer showed no certificate").await;
    let failures = r#"shop_tls_handshake_failures_total{reason="no_certificate""#;
    assert!(server.metric(failures).await.is_some_and(|count| count >= 1.0));
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused_and_told() {
    let said = Said::from_here_on();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (server, _files, _) = server_and_client(&ours).await;
    // It would take the server's certificate, but is not taken itself.
    let client = Files::new(&theirs.issue("order"), &[&ours, &theirs]);
    register(&pool(&server, &client)).await.unwrap_err();
    said.has("the peer says that our certificate is not of a CA that is trusted").await;
    said.has("the peer's certificate is not of a CA that is trusted").await;
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_spoken_to() {
    let said = Said::from_here_on();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (server, _files, _) = server_and_client(&theirs).await;
    let client = Files::new(&ours.issue("order"), &[&ours]);
    register(&pool(&server, &client)).await.unwrap_err();
    said.has("the peer's certificate is not of a CA that is trusted").await;
}

#[tokio::test]
async fn a_server_of_another_name_is_not_spoken_to() {
    let said = Said::from_here_on();
    let authority = Authority::new("ca");
    let files = Files::new(&authority.issue("product"), &[&authority]);
    let server = RealServer::start_as("product", &Ledger::default(), files.options()).await;
    register(&pool(&server, &files)).await.unwrap_err();
    said.has("the peer's certificate is for another service").await;
}

/// The line that a process which can't use its files ends with.
async fn refused(files: &Files) -> String {
    let options = ServerOptions { tls: files.options(), ..ServerOptions::embedded(FREE_PORT) };
    let error = GrpcServer::bind("user", FREE_PORT, &options).await.unwrap_err();
    let mut line = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        line = format!("{line}: {error}");
        source = error.source();
    }
    line
}

#[tokio::test]
async fn a_process_does_not_start_with_files_that_nobody_could_use() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let other_name = refused(&Files::new(&ours.issue("product"), &[&ours])).await;
    assert!(
        other_name.contains("peers would not take the certificate") && other_name.contains("product"),
        "{other_name}"
    );
    let other_ca = refused(&Files::new(&ours.issue("user"), &[&theirs])).await;
    assert!(other_ca.contains("peers would not take the certificate"), "{other_ca}");
    let (one, another) = (ours.issue("user"), ours.issue("user"));
    let mixed = refused(&Files::new(&Pair { cert: one.cert.clone(), key: another.key }, &[&ours])).await;
    assert!(mixed.contains("don't belong together"), "{mixed}");
    let files = Files::new(&one, &[&ours]);
    std::fs::write(files.path("tls.key"), "").unwrap();
    let empty = refused(&files).await;
    assert!(empty.contains("does not hold a private key in PEM (set by SHOP_TLS_KEY_FILE)"), "{empty}");
    std::fs::remove_file(files.path("ca.crt")).unwrap();
    let missing = refused(&files).await;
    assert!(missing.contains("can't read") && missing.contains("SHOP_TLS_CA_FILE"), "{missing}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_until_there_is_a_new_one() {
    let said = Said::from_here_on();
    let authority = Authority::new("ca");
    let expired = authority.issue_until("user", SystemTime::now() - Duration::from_hours(1));
    let files = Files::new(&expired, &[&authority]);
    let server = RealServer::start(&Ledger::default(), files.options()).await;
    said.has("the certificate has expired").await;
    let client = Files::new(&authority.issue("order"), &[&authority]);
    let pool = pool(&server, &client);
    register(&pool).await.unwrap_err();
    said.has("the peer's certificate has expired").await;
    files.identify(&authority.issue("user"));
    eventually("the new one is used", async || register(&pool).await.is_ok()).await;
}

#[tokio::test]
async fn a_plain_client_learns_that_the_server_wants_tls() {
    let said = Said::from_here_on();
    let (server, _files, _client) = server_and_client(&Authority::new("ca")).await;
    register(&Instances::of([&server]).pool(None)).await.unwrap_err();
    said.has("the peer speaks TLS, and this process has no certificate set (SHOP_TLS_CERT_FILE)").await;
    said.has("the peer does not speak TLS").await;
}

#[tokio::test]
async fn a_tls_client_learns_that_the_server_is_plain() {
    let said = Said::from_here_on();
    let authority = Authority::new("ca");
    let files = Files::new(&authority.issue("order"), &[&authority]);
    let server = RealServer::start(&Ledger::default(), TlsOptions::default()).await;
    register(&pool(&server, &files)).await.unwrap_err();
    said.has("the peer does not speak TLS: it has no certificate set (SHOP_TLS_CERT_FILE)").await;
    said.has("a caller speaks TLS to a port that does not").await;
}

#[tokio::test]
async fn callers_that_say_nothing_keep_nobody_out_and_are_dropped() {
    let (server, _files, client) = server_and_client(&Authority::new("ca")).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(server.address()).await.unwrap());
    }
    register(&pool(&server, &client)).await.unwrap();
    for mut stream in silent {
        let ended = timeout(Duration::from_secs(20), stream.read_u8()).await.unwrap();
        assert!(ended.is_err(), "the server spoke first");
    }
}

/// Whether a server speaks to this client: it does first, and with TLS 1.3 a refusal comes after the handshake.
async fn is_taken(server: &RealServer, tls: &Tls) -> bool {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    match tls.connect("user", stream).await {
        Ok(mut stream) => stream.read_u8().await.is_ok(),
        Err(_refused) => false,
    }
}

/// The certificate that a server shows.
async fn shown(server: &RealServer, tls: &Tls) -> Vec<u8> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let stream = tls.connect("user", stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap().to_vec()
}

/// The whole way from one CA to another, with every connection replaced on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_certificates_and_cas_are_replaced() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server_files = Files::new(&old.issue("user"), &[&old]);
    let client_files = Files::new(&old.issue("order"), &[&old]);
    let ledger = Ledger::default();
    let server = RealServer::start(&ledger, server_files.options()).await;
    let observer = Tls::load(&Files::new(&new.issue("observer"), &[&old, &new]).options(), None);
    let observer = observer.unwrap().unwrap();
    let load = Load::start(Instances::of([&server]).pool(tls(&client_files)), &ledger);

    // Both are trusted before the first shows a certificate of the new one.
    server_files.trust(&[&old, &new]);
    client_files.trust(&[&old, &new]);
    eventually("the new CA is trusted", async || is_taken(&server, &observer).await).await;
    let (server_pair, client_pair) = (new.issue("user"), new.issue("order"));
    server_files.identify(&server_pair);
    client_files.identify(&client_pair);
    eventually("the new certificate is shown", async || shown(&server, &observer).await == der(&server_pair)).await;
    server_files.trust(&[&new]);
    client_files.trust(&[&new]);
    let withdrawn = Files::new(&old.issue("order"), &[&old, &new]);
    let withdrawn = tls(&withdrawn).unwrap();
    eventually("the old CA is out of use", async || !is_taken(&server, &withdrawn).await).await;
    load.none_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_a_certificate_of_a_withdrawn_ca_is_cut_off() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server_files = Files::new(&new.issue("user"), &[&old, &new]);
    let server = RealServer::start(&Ledger::default(), server_files.options()).await;
    let client_files = Files::new(&old.issue("order"), &[&old, &new]);
    let pool = pool(&server, &client_files);
    register(&pool).await.unwrap();
    server_files.trust(&[&new]);
    // It uses its connection all the time.
    eventually("its connection is over", async || register(&pool).await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_written_files_change_nothing() {
    let authority = Authority::new("ca");
    let (before, after) = (authority.issue("user"), authority.issue("user"));
    let files = Files::new(&before, &[&authority]);
    let server = RealServer::start(&Ledger::default(), files.options()).await;
    let client = tls(&Files::new(&authority.issue("order"), &[&authority])).unwrap();
    let refusals = async || server.metric(r#"shop_tls_reloads_total{outcome="refused""#).await.unwrap_or_default();
    let steps: [&dyn Fn(); 3] = [
        &|| std::fs::write(files.path("tls.crt"), &after.cert[..after.cert.len() / 2]).unwrap(),
        &|| std::fs::write(files.path("tls.crt"), &after.cert).unwrap(),
        &|| std::fs::remove_file(files.path("tls.key")).unwrap(),
    ];
    for step in steps {
        let count = refusals().await;
        step();
        eventually("the files are refused", async || refusals().await > count).await;
        assert_eq!(shown(&server, &client).await, der(&before));
    }
    files.identify(&after);
    eventually("the new certificate is shown", async || shown(&server, &client).await == der(&after)).await;
}
