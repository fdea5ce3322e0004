//! German.

use super::Texts;

pub(crate) static DE: Texts = Texts {
    privacy: "Datenschutz",
    terms: "Nutzungsbedingungen",
    go_on: "Weiter",
    allow: "Erlauben",
    deny: "Nicht erlauben",
    back_to_account: "Zurück zu Ihrem Konto",
    sign_out: "Abmelden",
    signed_in_as: |who| format!("Sie sind angemeldet als {who}."),

    sign_in: "Anmelden",
    email: "E-Mail",
    password: "Passwort",
    remember: "Auf diesem Gerät angemeldet bleiben",
    or_elsewhere: "Oder anmelden mit",
    sign_in_at: |provider| format!("Anmelden mit {provider}"),
    sign_in_passkey: "Mit einem Passkey anmelden",
    passkey_failed: "Das hat nicht geklappt. Versuchen Sie es noch einmal, oder melden Sie sich \
                     anders an.",
    passkey_needs_script: "Passkeys brauchen einen Browser, der sie kennt, mit JavaScript.",

    second_factor: "Bestätigen Sie, dass Sie es sind",
    code: "Code",
    code_of_app: "Geben Sie die sechs Ziffern ein, die Ihre Authenticator-App zeigt.",
    code_of_app_or_recovery: "Geben Sie die sechs Ziffern ein, die Ihre Authenticator-App zeigt, \
                              oder einen Ihrer Wiederherstellungscodes.",
    code_of_recovery: "Geben Sie einen Ihrer Wiederherstellungscodes ein.",
    second_passkey: "Einen Passkey verwenden",
    enrol: "Authenticator-App einrichten",
    enrol_why: "Ihr Konto verlangt bei der Anmeldung einen zweiten Schritt.",
    enrol_scan: "Lesen Sie dies mit Ihrer Authenticator-App ein:",
    enrol_by_hand: "Oder tippen Sie diesen Schlüssel in die App:",
    enrol_qr: "QR-Code mit dem Schlüssel für Ihre App",
    enrol_confirm: "Geben Sie dann die sechs Ziffern ein, die die App zeigt.",
    enrol_again: "Mit einem neuen Schlüssel von vorn beginnen",
    recovery_codes: "Ihre Wiederherstellungscodes",
    recovery_keep: "Jeder dieser Codes meldet Sie einmal ohne die App an. Verwahren Sie sie an \
                    einem sicheren Ort: Sie werden nicht noch einmal gezeigt.",
    recovery_kept: "Ich habe sie verwahrt",

    new_password: "Neues Passwort",
    new_password_why: "Sie brauchen ein neues Passwort, bevor es weitergeht.",
    new_password_ends: "Überall sonst, wo Sie angemeldet sind, werden Sie abgemeldet.",
    password_saved: "Ihr Passwort ist geändert.",
    current_password: "Bisheriges Passwort",
    password_rule: |least| format!("Mindestens {least} Zeichen. Einige Wörter sind gut."),
    repeat_password: "Neues Passwort wiederholen",
    save_password: "Passwort speichern",

    consent_title: |client| format!("{client} bittet um Zugriff"),
    consent_wants: "Die Anwendung möchte:",
    consent_nothing: "Die Anwendung möchte nur wissen, dass Sie angemeldet sind.",
    consent_resources: "Sie würde das verwenden bei:",
    consent_then: |target| format!("Danach kehren Sie zurück zu {target}"),
    consent_about: "Über diese Anwendung",

    scope_openid: "Wissen, wer Sie sind",
    scope_profile: "Ihren Namen und Ihr Bild sehen",
    scope_email: "Ihre E-Mail-Adresse sehen",
    scope_offline_access: "Diesen Zugriff behalten, wenn Sie nicht da sind",

    device: "Ein Gerät verbinden",
    device_code: "Code auf Ihrem Gerät",
    device_hint: "Geben Sie den Code ein, den Ihr Gerät zeigt.",
    device_unknown: "Diesen Code gibt es nicht, oder seine Zeit ist abgelaufen. Lassen Sie Ihr \
                     Gerät einen neuen zeigen.",
    device_compare: "Zeigt Ihr Gerät diesen Code?",
    device_beware: "Erlauben Sie es nur, wenn das Gerät vor Ihnen steht. Wenn jemand Sie hierher \
                    geschickt hat, nicht.",
    device_allowed: "Das Gerät ist verbunden.",
    device_denied: "Das Gerät bekommt keinen Zugriff.",
    device_return: "Sie können diese Seite schließen und zu Ihrem Gerät zurückkehren.",

    account: "Ihr Konto",
    sessions: "Wo Sie angemeldet sind",
    sessions_intro: "Beenden Sie, was Sie nicht kennen, und ändern Sie dann Ihr Passwort.",
    session_here: "Dieser Browser",
    session_browser: "Ein Browser",
    browser_on: |browser, system| format!("{browser} unter {system}"),
    session_client: |client| format!("Anwendung {client}"),
    session_began: "Seit",
    session_used: "Zuletzt verwendet",
    session_end: "Beenden",
    session_end_one: |what| format!("Beenden: {what}"),
    sessions_end_others: "Überall sonst abmelden",
    sessions_end_all: "Überall abmelden",
    factors: "Anmeldung in zwei Schritten",
    factors_intro: "Nach dem Passwort bestätigen Sie hiermit, dass Sie es sind.",
    factors_none: "Nichts ist eingerichtet. Ihr Passwort allein öffnet Ihr Konto.",
    factor_app: "Authenticator-App",
    factor_added: "Hinzugefügt",
    factor_used: "Zuletzt verwendet",
    factor_remove: "Entfernen",
    factor_remove_one: |what| format!("Entfernen: {what}"),
    factor_add_app: "Authenticator-App einrichten",
    last_factor: "Ihr Konto verlangt einen zweiten Schritt. Richten Sie erst einen anderen ein, \
                  bevor Sie diesen entfernen.",
    codes_left: |count| match count {
        1 => "Sie haben noch 1 Wiederherstellungscode.".to_owned(),
        _ => format!("Sie haben noch {count} Wiederherstellungscodes."),
    },
    codes_none: "Sie haben keine Wiederherstellungscodes. Ohne Ihre App oder Ihren Passkey \
                 könnten Sie sich nicht anmelden.",
    codes_renew: "Neue Wiederherstellungscodes erzeugen",
    passkeys: "Passkeys",
    passkeys_intro: "Ein Passkey meldet Sie mit der Bildschirmsperre Ihres Geräts an, ohne \
                     Passwort.",
    passkeys_none: "Sie haben noch keinen Passkey.",
    passkey_name: "Name des neuen Passkeys",
    passkey_name_hint: "Zum Beispiel das Gerät, das ihn verwahrt.",
    passkey_add: "Passkey hinzufügen",
    consents: "Anwendungen mit Zugriff",
    consents_intro: "Diese Anwendungen dürfen etwas in Ihrem Namen tun, weil Sie es erlaubt haben.",
    consents_none: "Sie haben keiner Anwendung etwas erlaubt.",
    consent_since: "Erlaubt",
    consent_end: "Zurücknehmen",
    consent_end_one: |client| format!("Zurücknehmen: {client}"),

    ask_sign_out: "Möchten Sie sich abmelden?",
    signed_out: "Sie sind abgemeldet",
    signed_out_text: "Schließen Sie an einem gemeinsamen Computer auch den Browser.",
    sign_in_again: "Wieder anmelden",

    wrong_credentials: "E-Mail oder Passwort ist falsch.",
    wrong_current_password: "Das bisherige Passwort ist falsch.",
    wrong_code: "Dieser Code ist falsch, oder er wurde schon verwendet.",
    limited: |minutes| match minutes {
        1 => "Zu viele Versuche. Versuchen Sie es in 1 Minute wieder.".to_owned(),
        _ => format!("Zu viele Versuche. Versuchen Sie es in {minutes} Minuten wieder."),
    },
    blocked: "Dieses Konto ist abgeschaltet. Fragen Sie, wer es betreut.",
    expired: "Das hat zu lange gedauert. Bitte beginnen Sie von vorn.",
    exhausted: "Zu viele falsche Versuche. Bitte beginnen Sie von vorn.",
    cookies_needed: "Ihr Browser hat kein Cookie geschickt. Erlauben Sie Cookies für diese Seite \
                     und versuchen Sie es noch einmal.",
    no_log_in: "In diesem Browser läuft keine Anmeldung: Sie ist beendet, oder sie hat zu lange \
                gedauert. Bitte beginnen Sie von vorn.",
    busy: "Gerade melden sich sehr viele an. Versuchen Sie es gleich noch einmal.",
    password_too_short: "Dieses Passwort ist zu kurz.",
    password_too_long: "Dieses Passwort ist zu lang.",
    password_is_email: "Dieses Passwort ist Ihre E-Mail-Adresse. Wählen Sie ein anderes.",
    password_is_same: "Das ist schon Ihr Passwort. Wählen Sie ein anderes.",
    password_breached: "Dieses Passwort ist aus einem Datenleck bekannt. Wählen Sie ein anderes.",
    password_refused: "Dieses Passwort kann nicht verwendet werden. Wählen Sie ein anderes.",
    password_differs: "Die beiden Passwörter sind verschieden.",
    unavailable: "Etwas Nötiges ist nicht erreichbar. Versuchen Sie es gleich noch einmal.",

    error: "Das hat nicht geklappt",
    error_id: "Kennung für Rückfragen:",
    error_unknown_client: "Die Anwendung, die Sie hierher geschickt hat, ist nicht bekannt. An \
                           sie wurde nichts weitergegeben.",
    error_redirect: "Die Anwendung, die Sie hierher geschickt hat, will Sie an einem Ort \
                     zurückhaben, der für sie nicht eingetragen ist. An sie wurde nichts \
                     weitergegeben.",
    error_logout_uri: "Die Anwendung, die Sie hierher geschickt hat, will Sie nach dem Abmelden an \
                       einen Ort schicken (post_logout_redirect_uri), der für sie nicht \
                       eingetragen ist. Sie wurden nicht abgemeldet.",
    error_unreadable: "Die Anfrage ist nicht lesbar. Beginnen Sie in der Anwendung von vorn.",
    error_too_large: "Die Anfrage ist zu groß. Beginnen Sie in der Anwendung von vorn.",
    error_request_expired: "Die Zeit dieser Anfrage ist abgelaufen. Beginnen Sie in der \
                            Anwendung von vorn.",
    error_form: "Dieses Formular ist zu alt, oder es kam nicht von dieser Seite. Gehen Sie \
                 zurück, laden Sie die Seite neu und schicken Sie es noch einmal.",
    error_not_found: "Diese Seite gibt es nicht.",
    error_method: "So lässt sich diese Seite nicht verwenden.",
    error_internal: "Bei uns ist etwas schiefgegangen.",
    error_stranger: "Die Anwendung, die Sie hierher geschickt hat, bekommt nicht, worum sie \
                     bittet, oder Sie sind nicht angemeldet.",
    onward_beware: "Diese Anwendung hat sich selbst registriert, und niemand hier hat sie \
                    geprüft. Gehen Sie nur weiter, wenn Sie sie kennen.",
    onward: |place| format!("Weiter zu {place}"),
    elsewhere_denied: "Sie wurden dort nicht angemeldet. Melden Sie sich erneut oder auf \
                      anderem Weg an.",
    elsewhere_away: "Der Anbieter, mit dem Sie sich anmelden wollen, ist im Moment nicht \
                      erreichbar.",
    elsewhere_answer: "Die Antwort des Anbieters ist nicht brauchbar. Melden Sie sich erneut \
                      an; wer diese Seite betreibt, findet den Grund im Protokoll.",
    elsewhere_email: "Der Anbieter bestätigt für Sie keine E-Mail-Adresse, mit der man sich \
                      hier anmelden kann.",
    elsewhere_nobody: "Hier gibt es kein Konto für Sie. Wer diese Seite betreibt, kann eines \
                      einrichten.",
    elsewhere_taken: "Mit Ihrer E-Mail-Adresse gibt es hier schon ein Konto. Melden Sie sich \
                      mit dessen Passwort an, oder fragen Sie, wer diese Seite betreibt.",
    elsewhere_second_factor: "Hier brauchen Sie einen zweiten Faktor und haben kein Konto, das \
                      einen haben könnte. Fragen Sie, wer diese Seite betreibt.",
};
