//! English.

use super::Texts;

pub(crate) static EN: Texts = Texts {
    privacy: "Privacy",
    terms: "Terms of use",
    go_on: "Continue",
    allow: "Allow",
    deny: "Don’t allow",
    back_to_account: "Back to your account",
    sign_out: "Sign out",
    signed_in_as: |who| format!("You are signed in as {who}."),

    sign_in: "Sign in",
    email: "E-mail",
    password: "Password",
    remember: "Keep me signed in on this device",
    or_elsewhere: "Or sign in with",
    sign_in_at: |provider| format!("Sign in with {provider}"),

    second_factor: "Confirm that it is you",
    code: "Code",
    code_of_app: "Enter the six digits that your authenticator app shows.",
    code_of_app_or_recovery: "Enter the six digits that your authenticator app shows, or one of \
                              your recovery codes.",
    enrol: "Set up an authenticator app",
    enrol_scan: "Your account needs a second step at sign-in. Scan this with your authenticator \
                 app:",
    enrol_by_hand: "Or type this key into the app:",
    enrol_qr: "QR code with the key for your app",
    enrol_confirm: "Then enter the six digits that the app shows.",
    enrol_again: "Start again with a new key",
    recovery_codes: "Your recovery codes",
    recovery_keep: "Each of these codes signs you in once without the app. Keep them in a safe \
                    place: they are not shown again.",
    recovery_kept: "I have kept them",

    new_password: "New password",
    new_password_why: "You need a new password before you go on.",
    current_password: "Current password",
    password_rule: |least| format!("At least {least} characters. A few words are good."),
    repeat_password: "Repeat the new password",
    save_password: "Save the password",

    consent_title: |client| format!("{client} asks for access"),
    consent_wants: "It would like to:",
    consent_nothing: "It asks for nothing but to know that you are signed in.",
    consent_resources: "It would use this at:",
    consent_then: |target| format!("Afterwards you return to {target}"),
    consent_about: "About this application",

    scope_openid: "Know who you are",
    scope_profile: "See your name and picture",
    scope_email: "See your e-mail address",
    scope_offline_access: "Keep this access while you are away",

    device: "Connect a device",
    device_code: "Code on your device",
    device_hint: "Enter the code that your device shows.",
    device_unknown: "There is no such code, or its time is over. Ask your device for another one.",
    device_compare: "Does your device show this code?",
    device_beware: "Allow it only if the device is in front of you. If somebody sent you here, \
                    don’t.",
    device_allowed: "The device is connected.",
    device_denied: "The device gets no access.",
    device_return: "You can close this page and go back to your device.",

    account: "Your account",
    sessions: "Where you are signed in",
    sessions_intro: "End what you do not know, and then change your password.",
    session_here: "This browser",
    session_browser: "A browser",
    session_client: |client| format!("Application {client}"),
    session_began: "Since",
    session_used: "Last used",
    session_end: "End",
    session_end_one: |what| format!("End: {what}"),
    sessions_end_all: "Sign out everywhere",

    ask_sign_out: "Do you want to sign out?",
    signed_out: "You are signed out",
    signed_out_text: "On a shared computer, close the browser as well.",
    sign_in_again: "Sign in again",

    wrong_credentials: "E-mail or password is wrong.",
    wrong_code: "This code is wrong, or it was used already.",
    limited: |minutes| match minutes {
        1 => "Too many tries. Try again in 1 minute.".to_owned(),
        _ => format!("Too many tries. Try again in {minutes} minutes."),
    },
    blocked: "This account is switched off. Ask whoever looks after it.",
    expired: "That took too long. Please start again.",
    cookies_needed: "Your browser sent no cookie. Allow cookies for this site and try again.",
    busy: "Very many people are signing in. Try again in a moment.",
    password_too_short: "This password is too short.",
    password_too_long: "This password is too long.",
    password_is_email: "This password is your e-mail address. Choose another one.",
    password_is_same: "This is your password already. Choose another one.",
    password_breached: "This password is known from a breach. Choose another one.",
    password_refused: "This password cannot be used. Choose another one.",
    password_differs: "The two passwords differ.",
    unavailable: "Something that is needed cannot be reached. Try again in a moment.",

    error: "That did not work",
    error_id: "Reference for questions:",
    error_unknown_client: "The application that sent you here is not known. Nothing was passed \
                           on to it.",
    error_redirect: "The application that sent you here wants you back at a place that is not \
                     registered for it. Nothing was passed on to it.",
    error_unreadable: "The request cannot be read. Go back to the application and start again.",
    error_too_large: "The request is too large. Go back to the application and start again.",
    error_request_expired: "The time of this request is over. Go back to the application and \
                            start again.",
    error_form: "This form is too old, or it did not come from this page. Go back, load the page \
                 again and send it once more.",
    error_not_found: "There is no such page.",
    error_method: "This page cannot be used that way.",
    error_internal: "Something went wrong on our side.",
    elsewhere_denied: "You were not signed in there. Sign in again, or another way.",
    elsewhere_away: "The provider that you want to sign in with cannot be reached at the \
                      moment.",
    elsewhere_answer: "The provider's answer cannot be used. Sign in again; whoever runs this \
                      page finds the reason in the log.",
    elsewhere_email: "The provider does not say that you have an e-mail address that may sign \
                      in here.",
    elsewhere_nobody: "There is no account here for you. Ask whoever runs this page for one.",
    elsewhere_taken: "There is an account here with your e-mail address already. Sign in with \
                      its password, or ask whoever runs this page.",
    elsewhere_second_factor: "Here you need a second factor, and you have no account that could \
                      have one. Ask whoever runs this page.",
};
