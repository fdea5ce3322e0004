//! How people log in, as it is written. Filters read none of it.

use super::RawOnFailure;
use crate::decode::{Duration, Entries, Named, Positive, RateText, Text, choice, record};

record! {
    /// How people log in.
    pub struct RawLogin {
        /// What users may be, by name; at least one.
        roles = "roles": Named<RawRole>,
        /// What they are where nobody says; the first role by default.
        default_role = "default_role": Option<Text>,
        /// Passwords.
        passwords = "passwords": Option<RawPasswords>,
        /// Passkeys; nobody can have one by default.
        passkeys = "passkeys": Option<RawPasskeys>,
        /// Sessions of browsers.
        session = "session": Option<RawLoginSession>,
        /// What a browser must go on showing of itself; nothing by default.
        fingerprint = "fingerprint": Vec<RawFingerprintPart>,
        /// What happens when that changes; log by default.
        on_change = "on_change": Option<RawOnChange>,
        /// How often log-in may be tried.
        limits = "limits": Option<RawLoginLimits>,
        /// Providers elsewhere that vouch for people (OpenID Connect).
        outside = "outside": Vec<RawOutside>,
        /// Hosts that log-in may return to besides the issuer's; each under cookie_domain.
        hosts = "hosts": Vec<Text>,
        /// What the pages look like.
        pages = "pages": Option<RawPages>,
    }

    /// What a user may be.
    pub struct RawRole {
        /// What its users may let clients do, and do themselves.
        scopes = "scopes": Vec<Text>,
        /// Their tier.
        tier = "tier": Option<Text>,
        /// Whether none of them gets in without a second factor; false by default.
        mfa = "mfa": Option<bool>,
    }

    /// What passwords must be, and how they are hashed (argon2id).
    pub struct RawPasswords {
        /// Fewest characters: 8 to 64; 8 by default. The most are always 128.
        min_length = "min_length": Option<Positive>,
        /// Memory for one hash, in MiB: 8 to 256; 19 by default.
        memory = "memory": Option<Positive>,
        /// Passes over it: 1 to 10; 2 by default.
        iterations = "iterations": Option<Positive>,
        /// Passwords that everybody knows are refused; nobody looks by default.
        breached = "breached": Option<RawBreached>,
    }

    /// Passwords that were found in breaches: exactly one of file and range_url.
    pub struct RawBreached {
        /// A file: SHA-1 in hexadecimal, sorted, one a line.
        file = "file": Option<Text>,
        /// A service that is asked by the first five digits: the https URL before them.
        range_url = "range_url": Option<Text>,
        /// What happens when nobody can look; allow by default.
        when_unavailable = "when_unavailable": Option<RawOnFailure>,
    }

    /// Passkeys.
    pub struct RawPasskeys {
        /// The host that they are bound to, or a suffix of it; the issuer's host by default.
        rp_id = "rp_id": Option<Text>,
    }

    /// Sessions of browsers.
    pub struct RawLoginSession {
        /// How long one lasts that is not used: 5m or longer; 12h by default.
        idle = "idle": Option<Duration>,
        /// How long one lasts at all; 7d by default.
        absolute = "absolute": Option<Duration>,
        /// The same where the user asked to be remembered: at most 365d; 30d by default.
        remembered = "remembered": Option<Duration>,
        /// Whose hosts get the cookie: the issuer's host, or a domain above it; the issuer's host alone by default.
        cookie_domain = "cookie_domain": Option<Text>,
    }

    /// How often log-in may be tried; what succeeds does not count.
    pub struct RawLoginLimits {
        /// For one e-mail from one address; 5/15m by default.
        pair = "pair": Option<RateText>,
        /// For one e-mail; 20/15m by default.
        email = "email": Option<RateText>,
        /// From one address; 100/15m by default.
        ip = "ip": Option<RateText>,
    }

    /// A provider elsewhere that vouches for people.
    pub struct RawOutside {
        /// Its name, in paths and in subjects.
        name = "name": Text,
        /// Its issuer: an https URL, from which the rest is found.
        issuer = "issuer": Text,
        /// The suite's client there.
        client_id = "client_id": Text,
        /// Where that client's secret is: env:NAME or file:PATH.
        client_secret = "client_secret": Text,
        /// What it is asked for; openid, profile and email by default.
        scopes = "scopes": Option<Vec<Text>>,
        /// What people read on the button; the name by default.
        title = "title": Option<Text>,
        /// What becomes of people who are nobody here yet; none by default.
        users = "users": Option<RawOutsideUsers>,
        /// What they are where its claims do not say.
        role = "role": Option<Text>,
        /// The claim that says it.
        role_claim = "role_claim": Option<RawRoleClaim>,
        /// Only people whose e-mail is at one of these; all by default.
        domains = "domains": Vec<Text>,
    }

    /// The claim of an outside provider that says what somebody is here.
    pub struct RawRoleClaim {
        /// Its name, or a path such as org.role.
        claim = "claim": Text,
        /// Roles, by the claim's value; the first that fits.
        values = "values": Entries<Text>,
    }

    /// What the pages look like.
    pub struct RawPages {
        /// What stands above them; the issuer's host by default.
        title = "title": Option<Text>,
        /// A picture: a data: URL of at most 64 KiB, or an https URL.
        logo = "logo": Option<Text>,
        /// The colour of buttons and links: #rrggbb.
        accent = "accent": Option<Text>,
        /// The colour behind the text.
        background = "background": Option<Text>,
        /// The colour of the text.
        text = "text": Option<Text>,
        /// Languages that they are shown in, the first where none is asked for; en by default.
        languages = "languages": Option<Vec<RawLanguage>>,
        /// A link to what is done with data.
        privacy = "privacy": Option<Text>,
        /// A link to the terms of use.
        terms = "terms": Option<Text>,
    }
}

choice! {
    /// What a browser shows of itself.
    pub enum RawFingerprintPart {
        /// `user-agent`
        UserAgent = "user_agent",
        /// `accept-language`
        AcceptLanguage = "accept_language",
        /// The network that its address is in.
        IpPrefix = "ip_prefix",
        /// `sec-ch-ua-platform`
        ClientHint = "client_hint",
    }

    /// What happens to a session whose browser is another one.
    pub enum RawOnChange {
        /// It ends.
        End = "end",
        /// A second factor is asked for.
        AskMfa = "ask_mfa",
        /// It is written down, and no more.
        Log = "log",
    }

    /// What becomes of people whom an outside provider vouches for.
    pub enum RawOutsideUsers {
        /// They become users.
        Create = "create",
        /// They are the users with their verified e-mail.
        Link = "link",
        /// They are nobody here, and have a session.
        None = "none",
    }

    /// A language of the pages.
    pub enum RawLanguage {
        /// English.
        En = "en",
        /// German.
        De = "de",
        /// French.
        Fr = "fr",
        /// Spanish.
        Es = "es",
    }
}
