//! Containers: the process that serves, and the steps that come before it.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Probe, SecurityContext, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Release, environment,
    names::{self, ADMIN_PORT, ADMIN_PORT_NAME},
    pod::Mounted,
    resources,
};
use crate::shop::{Component, DatabaseService, Shop};

/// The container that serves.
pub(crate) const SERVE: &str = "serve";
/// The container that migrates; its termination message is what the schema is then.
pub(crate) const MIGRATE: &str = "migrate";
/// The container that makes the first admin.
pub(crate) const ADMIN: &str = "create-admin";
/// Where a container leaves its termination message.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The process itself.
pub(super) fn serve(shop: &Shop, component: Component, release: &Release, mounted: &[Mounted]) -> Container {
    let port = |name: &str, port| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        args: Some(vec!["serve".to_owned()]),
        env: Some(environment::serving(shop, component)),
        ports: Some(vec![port(names::port(component), component.port()), port(ADMIN_PORT_NAME, ADMIN_PORT)]),
        // A minute: on a busy node images are read and databases are waited for.
        startup_probe: Some(probe("/livez", 1, 5, 60)),
        // Two in a row, so that one lost packet takes no pod out.
        readiness_probe: Some(probe("/readyz", 2, 2, 2)),
        // Only a process that does nothing at all any more; it answers from memory.
        liveness_probe: Some(probe("/livez", 10, 5, 3)),
        ..base(shop, component, SERVE, release, mounted)
    }
}

/// `migrate up` on the file of a process that is about to serve: it first copies a file that it is going to change, and puts
/// the copy back if it fails.
pub(super) fn migrate_file(shop: &Shop, service: DatabaseService, release: &Release, mounted: &[Mounted]) -> Container {
    let mut container = migrate_up(shop, service, release, mounted);
    let copy = format!("{}.before", environment::file(service));
    container.args.get_or_insert_default().extend(["--keep-copy".to_owned(), copy]);
    container
}

/// `migrate up`.
pub(super) fn migrate_up(shop: &Shop, service: DatabaseService, release: &Release, mounted: &[Mounted]) -> Container {
    step(shop, service, release, mounted, MIGRATE, &["migrate", "up", "--report", TERMINATION_LOG], Vec::new())
}

/// `migrate contract`.
pub(super) fn contract(shop: &Shop, service: DatabaseService, release: &Release, mounted: &[Mounted]) -> Container {
    step(shop, service, release, mounted, MIGRATE, &["migrate", "contract", "--report", TERMINATION_LOG], Vec::new())
}

/// The first admin, who is made once.
pub(super) fn create_admin(shop: &Shop, release: &Release, mounted: &[Mounted]) -> Container {
    let admin = environment::admin(shop).into();
    step(shop, DatabaseService::User, release, mounted, ADMIN, &["create-admin", "--if-none"], admin)
}

/// Shows that the image can be had and runs here.
pub(super) fn preflight(shop: &Shop, service: DatabaseService, release: &Release, mounted: &[Mounted]) -> Container {
    Container {
        args: Some(vec!["--version".to_owned()]),
        ..base(shop, service.component(), "preflight", release, mounted)
    }
}

fn step(
    shop: &Shop,
    service: DatabaseService,
    release: &Release,
    mounted: &[Mounted],
    name: &str,
    args: &[&str],
    more: Vec<EnvVar>,
) -> Container {
    let mut variables = vec![environment::database(shop, service)];
    variables.extend(more);
    Container {
        args: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
        env: Some(variables),
        ..base(shop, service.component(), name, release, mounted)
    }
}

fn base(shop: &Shop, component: Component, name: &str, release: &Release, mounted: &[Mounted]) -> Container {
    let mounts = mounted.iter().map(|mounted| VolumeMount {
        name: mounted.volume.name.clone(),
        mount_path: mounted.path.to_owned(),
        read_only: mounted.read_only.then_some(true),
        ..VolumeMount::default()
    });
    Container {
        name: name.to_owned(),
        image: Some(release.image.clone()),
        image_pull_policy: Some(shop.spec.image.pull_policy.as_str().to_owned()),
        resources: Some(resources::of(shop.spec.resources(component))),
        volume_mounts: Some(mounts.collect()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // What fails says so in its last line, which the Shop's conditions then show.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        ..Container::default()
    }
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}
