//! What the rules of the schema are made of. The API server evaluates them (CEL) and shows their messages, so that a Shop
//! that can't work is refused before anything of it is made.

use shop_types::Currency;

/// The longest name of a Shop. Names of its objects begin with it, and labels and host names end at 63 characters.
const MAX_NAME: usize = 40;
/// More pods of one process than one Consul and one database were meant for.
pub(super) const MAX_REPLICAS: i32 = 100;

/// Said of a name.
pub(super) const NAME: &str = "the name of a Shop must be a DNS label (a-z, 0-9 and -) that begins with a letter and has at most 40 characters, since its objects are named after it";
/// Said where both are given.
pub(super) const REPLICAS_OR_AUTOSCALING: &str =
    "either replicas or autoscaling says how many pods there are: remove one of them";
/// Said of several pods on one file.
pub(super) const ONE_POD: &str =
    "a SQLite file allows one pod: remove replicas and autoscaling, or choose another spec.database.engine";
/// `http://` or `https://`, and a host.
const ADDRESS: &str = r"^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\\[[0-9a-fA-F:.]+\\])";
/// Perhaps a port: 1 to 65535.
const PORT: &str = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?";
/// What may follow an address in a URL: a path and a query (RFC 3986, 3.3 and 3.4), and no fragment.
const PATH: &str = r"(/[-A-Za-z0-9._~!$&()*+,;=:@/%]*)?(\\?[-A-Za-z0-9._~!$&()*+,;=:@/?%]*)?";

/// That a field of `self` is there and is not null, which it may be: manifests name fields to say that they are left out.
pub(super) fn given(field: &str) -> String {
    format!("(has(self.{field}) && dyn(self.{field}) != null)")
}

/// That `self`, a text, is an address.
pub(super) fn address() -> String {
    format!("dyn(self) == null || self.matches('{ADDRESS}{PORT}/?$')")
}

/// That `self`, a text, is an address and perhaps a path.
pub(super) fn url() -> String {
    format!("dyn(self) == null || self.matches('{ADDRESS}{PORT}{PATH}$')")
}

/// That `self` is a currency that the processes know: they would not start with another, and it can't change.
pub(super) fn currency() -> String {
    let codes: Vec<_> = Currency::codes().map(|code| format!("'{code}'")).collect();
    format!("self in [{}]", codes.join(", "))
}

/// That the name of a Shop leaves room for those of its objects.
pub(super) fn name() -> String {
    format!("size(self.metadata.name) <= {MAX_NAME} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
}

/// That certificates are only given where they are looked at.
pub(super) fn authority_needs_tls() -> String {
    format!("!{} || self.address.startsWith('https://')", given("caSecretRef"))
}

/// That not both of two fields are given.
pub(super) fn not_both(one: &str, other: &str) -> String {
    format!("!({} && {})", given(one), given(other))
}

/// That a part is there for its engine, and for no other.
pub(super) fn part_of(engine: &str) -> String {
    format!("{} ? self.engine == '{engine}' : true", given(engine))
}

/// That the part of an engine on a server is there.
pub(super) fn part_needed(engine: &str) -> String {
    format!("self.engine == '{engine}' ? {} : true", given(engine))
}

/// That each service has at most one pod if its data is in a file.
pub(super) fn one_pod(service: &str) -> String {
    let written = format!("services.{service}");
    format!(
        "self.database.engine != 'sqlite' || (!{} && (!{} || self.{written}.replicas <= 1))",
        given(&format!("{written}.autoscaling")),
        given(&format!("{written}.replicas")),
    )
}

/// That an optional field is what it was.
pub(super) fn unchanged(field: &str) -> String {
    format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || dyn(self.{field}) == dyn(oldSelf.{field}))"
    )
}

/// That `self` is a host name (RFC 1123) that is not an address.
pub(super) fn host() -> String {
    r"self.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\.)*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')".to_owned()
}

/// That `self` is what names of images begin with.
pub(super) fn registry() -> String {
    format!("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?{PORT}(/[a-z0-9]+([-._]+[a-z0-9]+)*)*$')")
}

/// That `self` are origins, as the processes read them.
pub(super) fn origins() -> String {
    const ORIGIN: &str = r"^https?://([-a-z0-9.]+|\\[[0-9a-f:.]+\\])";
    format!("dyn(self) == null || self.all(origin, origin == '*' || origin.matches('{ORIGIN}{PORT}$'))")
}

/// That `self` is a duration from a millisecond to a year.
pub(super) fn payment_timeout() -> String {
    // CEL's durations have the same units, and more.
    "dyn(self) == null || (self.matches('^[0-9]{1,12}(ms|s|m|h)$') && \
     duration(self) > duration('0s') && duration(self) <= duration('8760h'))"
        .to_owned()
}

/// That `self` is a log level, or several, as the processes read them.
pub(super) fn log_level() -> String {
    const DIRECTIVE: &str = "([A-Za-z0-9_:]{1,128}=)?(off|error|warn|info|debug|trace)";
    format!("dyn(self) == null || self.matches('^{DIRECTIVE}(,{DIRECTIVE})*$')")
}

/// That `self` is a number from 0 to 1.
pub(super) fn ratio() -> String {
    r"dyn(self) == null || self.matches('^(0|1|0\\.[0-9]+|1\\.0+)$')".to_owned()
}
