//! What pages say, in each language. A text that one of them lacks does not compile.

mod de;
mod en;
mod es;
mod fr;

pub(crate) use de::DE;
pub(crate) use en::EN;
pub(crate) use es::ES;
pub(crate) use fr::FR;

/// Everything that pages say, in one language.
pub(crate) struct Texts {
    // On several pages.
    pub(crate) privacy: &'static str,
    pub(crate) terms: &'static str,
    pub(crate) go_on: &'static str,
    pub(crate) allow: &'static str,
    pub(crate) deny: &'static str,
    pub(crate) back_to_account: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) signed_in_as: fn(&str) -> String,

    // Logging in.
    pub(crate) sign_in: &'static str,
    pub(crate) email: &'static str,
    pub(crate) password: &'static str,
    pub(crate) remember: &'static str,
    pub(crate) or_elsewhere: &'static str,
    pub(crate) sign_in_at: fn(&str) -> String,
    pub(crate) sign_in_passkey: &'static str,
    pub(crate) passkey_failed: &'static str,
    pub(crate) passkey_needs_script: &'static str,

    // The second factor.
    pub(crate) second_factor: &'static str,
    pub(crate) code: &'static str,
    pub(crate) code_of_app: &'static str,
    pub(crate) code_of_app_or_recovery: &'static str,
    pub(crate) code_of_recovery: &'static str,
    pub(crate) second_passkey: &'static str,
    pub(crate) enrol: &'static str,
    pub(crate) enrol_why: &'static str,
    pub(crate) enrol_scan: &'static str,
    pub(crate) enrol_by_hand: &'static str,
    pub(crate) enrol_qr: &'static str,
    pub(crate) enrol_confirm: &'static str,
    pub(crate) enrol_again: &'static str,
    pub(crate) recovery_codes: &'static str,
    pub(crate) recovery_keep: &'static str,
    pub(crate) recovery_kept: &'static str,

    // A new password.
    pub(crate) new_password: &'static str,
    pub(crate) new_password_why: &'static str,
    pub(crate) new_password_ends: &'static str,
    pub(crate) password_saved: &'static str,
    pub(crate) current_password: &'static str,
    pub(crate) password_rule: fn(usize) -> String,
    pub(crate) repeat_password: &'static str,
    pub(crate) save_password: &'static str,

    // Consent.
    pub(crate) consent_title: fn(&str) -> String,
    pub(crate) consent_wants: &'static str,
    pub(crate) consent_nothing: &'static str,
    pub(crate) consent_resources: &'static str,
    pub(crate) consent_then: fn(&str) -> String,
    pub(crate) consent_about: &'static str,

    // Scopes that every document has.
    pub(crate) scope_openid: &'static str,
    pub(crate) scope_profile: &'static str,
    pub(crate) scope_email: &'static str,
    pub(crate) scope_offline_access: &'static str,

    // Devices.
    pub(crate) device: &'static str,
    pub(crate) device_code: &'static str,
    pub(crate) device_hint: &'static str,
    pub(crate) device_unknown: &'static str,
    pub(crate) device_compare: &'static str,
    pub(crate) device_beware: &'static str,
    pub(crate) device_allowed: &'static str,
    pub(crate) device_denied: &'static str,
    pub(crate) device_return: &'static str,

    // The account.
    pub(crate) account: &'static str,
    pub(crate) sessions: &'static str,
    pub(crate) sessions_intro: &'static str,
    pub(crate) session_here: &'static str,
    pub(crate) session_browser: &'static str,
    /// A browser, and what it runs on.
    pub(crate) browser_on: fn(&str, &str) -> String,
    pub(crate) session_client: fn(&str) -> String,
    pub(crate) session_began: &'static str,
    pub(crate) session_used: &'static str,
    pub(crate) session_end: &'static str,
    pub(crate) session_end_one: fn(&str) -> String,
    pub(crate) sessions_end_others: &'static str,
    pub(crate) sessions_end_all: &'static str,
    pub(crate) factors: &'static str,
    pub(crate) factors_intro: &'static str,
    pub(crate) factors_none: &'static str,
    pub(crate) factor_app: &'static str,
    pub(crate) factor_added: &'static str,
    pub(crate) factor_used: &'static str,
    pub(crate) factor_remove: &'static str,
    pub(crate) factor_remove_one: fn(&str) -> String,
    pub(crate) factor_add_app: &'static str,
    pub(crate) last_factor: &'static str,
    pub(crate) codes_left: fn(usize) -> String,
    pub(crate) codes_none: &'static str,
    pub(crate) codes_renew: &'static str,
    pub(crate) passkeys: &'static str,
    pub(crate) passkeys_intro: &'static str,
    pub(crate) passkeys_none: &'static str,
    pub(crate) passkey_name: &'static str,
    pub(crate) passkey_name_hint: &'static str,
    pub(crate) passkey_add: &'static str,
    pub(crate) consents: &'static str,
    pub(crate) consents_intro: &'static str,
    pub(crate) consents_none: &'static str,
    pub(crate) consent_since: &'static str,
    pub(crate) consent_end: &'static str,
    pub(crate) consent_end_one: fn(&str) -> String,

    // Logging out.
    pub(crate) ask_sign_out: &'static str,
    pub(crate) signed_out: &'static str,
    pub(crate) signed_out_text: &'static str,
    pub(crate) sign_in_again: &'static str,

    // Problems of forms.
    pub(crate) wrong_credentials: &'static str,
    pub(crate) wrong_current_password: &'static str,
    pub(crate) wrong_code: &'static str,
    /// Of whole minutes.
    pub(crate) limited: fn(u64) -> String,
    pub(crate) blocked: &'static str,
    pub(crate) expired: &'static str,
    pub(crate) exhausted: &'static str,
    pub(crate) cookies_needed: &'static str,
    pub(crate) no_log_in: &'static str,
    pub(crate) busy: &'static str,
    pub(crate) password_too_short: &'static str,
    pub(crate) password_too_long: &'static str,
    pub(crate) password_is_email: &'static str,
    pub(crate) password_is_same: &'static str,
    pub(crate) password_breached: &'static str,
    pub(crate) password_refused: &'static str,
    pub(crate) password_differs: &'static str,
    pub(crate) unavailable: &'static str,

    // Pages of errors.
    pub(crate) error: &'static str,
    pub(crate) error_id: &'static str,
    pub(crate) error_unknown_client: &'static str,
    pub(crate) error_redirect: &'static str,
    pub(crate) error_logout_uri: &'static str,
    pub(crate) error_unreadable: &'static str,
    pub(crate) error_too_large: &'static str,
    pub(crate) error_request_expired: &'static str,
    pub(crate) error_form: &'static str,
    pub(crate) error_not_found: &'static str,
    pub(crate) error_method: &'static str,
    pub(crate) error_internal: &'static str,

    // Applications that nobody has looked at.
    pub(crate) error_stranger: &'static str,
    pub(crate) onward_beware: &'static str,
    pub(crate) onward: fn(&str) -> String,

    // Logging in elsewhere.
    pub(crate) elsewhere_denied: &'static str,
    pub(crate) elsewhere_away: &'static str,
    pub(crate) elsewhere_answer: &'static str,
    pub(crate) elsewhere_email: &'static str,
    pub(crate) elsewhere_nobody: &'static str,
    pub(crate) elsewhere_taken: &'static str,
    pub(crate) elsewhere_second_factor: &'static str,
}

impl Texts {
    /// What is said of a scope that every document knows (OpenID Connect Core §5.4, §11).
    pub(crate) fn scope(&self, name: &str) -> Option<&'static str> {
        match name {
            "openid" => Some(self.scope_openid),
            "profile" => Some(self.scope_profile),
            "email" => Some(self.scope_email),
            "offline_access" => Some(self.scope_offline_access),
            _ => None,
        }
    }
}
