//! What `shop up` says once it is ready: for people, or one line for programs.

use std::io::{self, Write as _};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use shop_server::Addresses;

use crate::cli::Output;

/// Where everything is.
pub(crate) struct Ready {
    pub(crate) user: Addresses,
    pub(crate) product: Addresses,
    pub(crate) order: Addresses,
    pub(crate) gateway: Addresses,
    pub(crate) admin_email: String,
    /// The first admin's password, if it was generated and nobody has seen it yet.
    pub(crate) admin_password: Option<SecretString>,
    pub(crate) data_dir: String,
}

#[derive(Serialize)]
struct Line<'a> {
    gateway: String,
    docs: String,
    admin: AdminUrls,
    grpc: GrpcAddresses,
    admin_email: &'a str,
    /// Only once: it is never printed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password: Option<&'a str>,
}

#[derive(Serialize)]
struct AdminUrls {
    user: String,
    product: String,
    order: String,
    gateway: String,
}

#[derive(Serialize)]
struct GrpcAddresses {
    user: String,
    product: String,
    order: String,
}

impl Ready {
    /// Prints it to standard output.
    pub(crate) fn print(&self, output: Output) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer(&mut stdout, &self.line())?;
                writeln!(stdout)?;
            }
            Output::Text => write!(stdout, "{}", self.text())?,
        }
        stdout.flush()
    }

    fn generated_password(&self) -> Option<&str> {
        self.admin_password.as_ref().map(SecretString::expose_secret)
    }

    fn line(&self) -> Line<'_> {
        let url = |addresses: Addresses| format!("http://{}", addresses.admin);
        Line {
            gateway: format!("http://{}", self.gateway.serve),
            docs: format!("http://{}/docs", self.gateway.serve),
            admin: AdminUrls {
                user: url(self.user),
                product: url(self.product),
                order: url(self.order),
                gateway: url(self.gateway),
            },
            grpc: GrpcAddresses {
                user: self.user.serve.to_string(),
                product: self.product.serve.to_string(),
                order: self.order.serve.to_string(),
            },
            admin_email: &self.admin_email,
            admin_password: self.generated_password(),
        }
    }

    fn text(&self) -> String {
        let gateway = format!("http://{}", self.gateway.serve);
        let password = self
            .generated_password()
            .map_or_else(String::new, |password| format!("  password {password}   (shown only now)"));
        format!(
            "The shop is open.\n\n\
             \x20 API       {gateway}/api/v1\n\
             \x20 Docs      {gateway}/docs\n\
             \x20 gRPC      user {}, order {}, product {}\n\
             \x20 Admin     {}{password}\n\
             \x20 Data      {}\n\n\
             Try it:\n\n\
             \x20 curl '{gateway}/api/v1/products?limit=3'\n\n\
             Ctrl-C closes it.\n",
            self.user.serve, self.order.serve, self.product.serve, self.admin_email, self.data_dir,
        )
    }
}
