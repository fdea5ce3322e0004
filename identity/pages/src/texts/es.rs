//! Spanish.

use super::Texts;

pub(crate) static ES: Texts = Texts {
    privacy: "Privacidad",
    terms: "Condiciones de uso",
    go_on: "Continuar",
    allow: "Permitir",
    deny: "No permitir",
    back_to_account: "Volver a su cuenta",
    sign_out: "Cerrar sesión",
    signed_in_as: |who| format!("Ha iniciado sesión como {who}."),

    sign_in: "Iniciar sesión",
    email: "Correo electrónico",
    password: "Contraseña",
    remember: "Mantener la sesión en este dispositivo",
    or_elsewhere: "O iniciar sesión con",
    sign_in_at: |provider| format!("Iniciar sesión con {provider}"),
    sign_in_passkey: "Iniciar sesión con una llave de acceso",
    passkey_failed: "No ha funcionado. Vuelva a intentarlo o inicie sesión de otra forma.",
    passkey_needs_script: "Las llaves de acceso necesitan un navegador que las conozca, con \
                           JavaScript.",

    second_factor: "Confirme que es usted",
    code: "Código",
    code_of_app: "Escriba las seis cifras que muestra su aplicación de autenticación.",
    code_of_app_or_recovery: "Escriba las seis cifras que muestra su aplicación de autenticación, \
                              o uno de sus códigos de recuperación.",
    code_of_recovery: "Escriba uno de sus códigos de recuperación.",
    second_passkey: "Usar una llave de acceso",
    enrol: "Configurar una aplicación de autenticación",
    enrol_why: "Su cuenta exige un segundo paso al iniciar sesión.",
    enrol_scan: "Escanee esto con su aplicación de autenticación:",
    enrol_by_hand: "O escriba esta clave en la aplicación:",
    enrol_qr: "Código QR con la clave para su aplicación",
    enrol_confirm: "Después escriba las seis cifras que muestra la aplicación.",
    enrol_again: "Empezar de nuevo con otra clave",
    recovery_codes: "Sus códigos de recuperación",
    recovery_keep: "Cada uno de estos códigos le permite entrar una vez sin la aplicación. \
                    Guárdelos en un lugar seguro: no se volverán a mostrar.",
    recovery_kept: "Los he guardado",

    new_password: "Contraseña nueva",
    new_password_why: "Necesita una contraseña nueva antes de continuar.",
    new_password_ends: "Se cerrará su sesión en todos los demás sitios.",
    password_saved: "Su contraseña se ha cambiado.",
    current_password: "Contraseña actual",
    password_rule: |least| format!("Al menos {least} caracteres. Unas cuantas palabras sirven."),
    repeat_password: "Repita la contraseña nueva",
    save_password: "Guardar la contraseña",

    consent_title: |client| format!("{client} pide acceso"),
    consent_wants: "La aplicación quiere:",
    consent_nothing: "La aplicación solo quiere saber que usted ha iniciado sesión.",
    consent_resources: "Lo usaría en:",
    consent_then: |target| format!("Después volverá a {target}"),
    consent_about: "Acerca de esta aplicación",

    scope_openid: "Saber quién es usted",
    scope_profile: "Ver su nombre y su foto",
    scope_email: "Ver su correo electrónico",
    scope_offline_access: "Conservar este acceso en su ausencia",

    device: "Conectar un dispositivo",
    device_code: "Código de su dispositivo",
    device_hint: "Escriba el código que muestra su dispositivo.",
    device_unknown: "Ese código no existe o ha caducado. Pida otro a su dispositivo.",
    device_compare: "¿Muestra su dispositivo este código?",
    device_beware: "Permítalo solo si tiene el dispositivo delante. Si alguien le ha enviado \
                    aquí, no lo haga.",
    device_allowed: "El dispositivo está conectado.",
    device_denied: "El dispositivo no obtiene acceso.",
    device_return: "Puede cerrar esta página y volver a su dispositivo.",

    account: "Su cuenta",
    sessions: "Dónde ha iniciado sesión",
    sessions_intro: "Cierre lo que no reconozca y después cambie su contraseña.",
    session_here: "Este navegador",
    session_browser: "Un navegador",
    browser_on: |browser, system| format!("{browser} en {system}"),
    session_client: |client| format!("Aplicación {client}"),
    session_began: "Desde",
    session_used: "Último uso",
    session_end: "Cerrar",
    session_end_one: |what| format!("Cerrar: {what}"),
    sessions_end_others: "Cerrar sesión en los demás sitios",
    sessions_end_all: "Cerrar sesión en todas partes",
    factors: "Inicio de sesión en dos pasos",
    factors_intro: "Después de la contraseña, confirme con uno de estos que es usted.",
    factors_none: "No hay nada configurado. Su contraseña sola abre su cuenta.",
    factor_app: "Aplicación de autenticación",
    factor_added: "Añadida",
    factor_used: "Último uso",
    factor_remove: "Quitar",
    factor_remove_one: |what| format!("Quitar: {what}"),
    factor_add_app: "Configurar una aplicación de autenticación",
    last_factor: "Su cuenta exige un segundo paso. Configure otro antes de quitar este.",
    codes_left: |count| match count {
        1 => "Le queda 1 código de recuperación.".to_owned(),
        _ => format!("Le quedan {count} códigos de recuperación."),
    },
    codes_none: "No tiene códigos de recuperación. Sin su aplicación o su llave de acceso no \
                 podría iniciar sesión.",
    codes_renew: "Crear códigos de recuperación nuevos",
    passkeys: "Llaves de acceso",
    passkeys_intro: "Una llave de acceso inicia su sesión con el bloqueo de su dispositivo, sin \
                     contraseña.",
    passkeys_none: "Todavía no tiene ninguna llave de acceso.",
    passkey_name: "Nombre de la nueva llave de acceso",
    passkey_name_hint: "Por ejemplo, el dispositivo que la guarda.",
    passkey_add: "Añadir una llave de acceso",
    consents: "Aplicaciones con acceso",
    consents_intro: "Estas aplicaciones pueden hacer algo en su nombre, porque usted lo permitió.",
    consents_none: "No ha permitido nada a ninguna aplicación.",
    consent_since: "Permitida",
    consent_end: "Retirar",
    consent_end_one: |client| format!("Retirar: {client}"),

    ask_sign_out: "¿Quiere cerrar la sesión?",
    signed_out: "Ha cerrado la sesión",
    signed_out_text: "En un equipo compartido, cierre también el navegador.",
    sign_in_again: "Volver a iniciar sesión",

    wrong_credentials: "El correo o la contraseña no es correcto.",
    wrong_current_password: "La contraseña actual no es correcta.",
    wrong_code: "Este código no es correcto o ya se ha usado.",
    limited: |minutes| match minutes {
        1 => "Demasiados intentos. Vuelva a intentarlo en 1 minuto.".to_owned(),
        _ => format!("Demasiados intentos. Vuelva a intentarlo en {minutes} minutos."),
    },
    blocked: "Esta cuenta está desactivada. Pregunte a quien la administra.",
    expired: "Ha pasado demasiado tiempo. Empiece de nuevo.",
    exhausted: "Demasiados intentos erróneos. Empiece de nuevo.",
    cookies_needed: "Su navegador no ha enviado ninguna cookie. Permita las cookies de este sitio \
                     y vuelva a intentarlo.",
    no_log_in: "No hay ningún inicio de sesión en curso en este navegador: ha terminado o ha pasado \
                demasiado tiempo. Empiece de nuevo.",
    busy: "Muchas personas están iniciando sesión. Vuelva a intentarlo en un momento.",
    password_too_short: "Esta contraseña es demasiado corta.",
    password_too_long: "Esta contraseña es demasiado larga.",
    password_is_email: "Esta contraseña es su correo electrónico. Elija otra.",
    password_is_same: "Esta ya es su contraseña. Elija otra.",
    password_breached: "Esta contraseña aparece en una filtración de datos. Elija otra.",
    password_refused: "Esta contraseña no se puede usar. Elija otra.",
    password_differs: "Las dos contraseñas son distintas.",
    unavailable: "No se puede acceder a algo necesario. Vuelva a intentarlo en un momento.",

    error: "No ha funcionado",
    error_id: "Referencia para consultas:",
    error_unknown_client: "No se conoce la aplicación que le ha enviado aquí. No se le ha \
                           transmitido nada.",
    error_redirect: "La aplicación que le ha enviado aquí quiere que vuelva a un lugar que no \
                     está registrado para ella. No se le ha transmitido nada.",
    error_logout_uri: "La aplicación que le ha enviado aquí quiere que, tras cerrar la sesión, vaya \
                       a un lugar (post_logout_redirect_uri) que no está registrado para ella. \
                       No se ha cerrado ninguna sesión.",
    error_unreadable: "La solicitud no se puede leer. Empiece de nuevo desde la aplicación.",
    error_too_large: "La solicitud es demasiado grande. Empiece de nuevo desde la aplicación.",
    error_request_expired: "La solicitud ha caducado. Empiece de nuevo desde la aplicación.",
    error_form: "Este formulario es demasiado antiguo o no procede de esta página. Vuelva atrás, \
                 recargue la página y envíelo otra vez.",
    error_not_found: "Esta página no existe.",
    error_method: "Esta página no se puede usar así.",
    error_internal: "Algo ha fallado por nuestra parte.",
    error_stranger: "La aplicación que le ha enviado aquí no obtiene lo que pide, o usted no ha \
                     iniciado sesión.",
    onward_beware: "Esta aplicación se ha registrado por sí misma, y aquí nadie la ha \
                    comprobado. Siga solo si la conoce.",
    onward: |place| format!("Continuar a {place}"),
    elsewhere_denied: "No se ha iniciado su sesión allí. Inténtelo de nuevo o de otro modo.",
    elsewhere_away: "No se puede contactar ahora con el proveedor con el que quiere iniciar \
                      sesión.",
    elsewhere_answer: "La respuesta del proveedor no sirve. Inténtelo de nuevo; quien \
                      administra esta página encuentra el motivo en el registro.",
    elsewhere_email: "El proveedor no confirma para usted ninguna dirección de correo con la \
                      que se pueda iniciar sesión aquí.",
    elsewhere_nobody: "Aquí no hay ninguna cuenta para usted. Pídala a quien administra esta \
                      página.",
    elsewhere_taken: "Ya hay aquí una cuenta con su dirección de correo. Inicie sesión con su \
                      contraseña o consulte a quien administra esta página.",
    elsewhere_second_factor: "Aquí hace falta un segundo factor, y usted no tiene ninguna \
                      cuenta que pueda tenerlo. Consulte a quien administra esta página.",
};
