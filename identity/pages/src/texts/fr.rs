//! French.

use super::Texts;

pub(crate) static FR: Texts = Texts {
    privacy: "Confidentialité",
    terms: "Conditions d’utilisation",
    go_on: "Continuer",
    allow: "Autoriser",
    deny: "Ne pas autoriser",
    back_to_account: "Retour à votre compte",
    sign_out: "Se déconnecter",
    signed_in_as: |who| format!("Vous êtes connecté en tant que {who}."),

    sign_in: "Se connecter",
    email: "E-mail",
    password: "Mot de passe",
    remember: "Rester connecté sur cet appareil",
    or_elsewhere: "Ou se connecter avec",
    sign_in_at: |provider| format!("Se connecter avec {provider}"),
    sign_in_passkey: "Se connecter avec une clé d’accès",
    passkey_failed: "Cela n’a pas fonctionné. Réessayez ou connectez-vous autrement.",
    passkey_needs_script: "Les clés d’accès exigent un navigateur qui les connaît, avec \
                           JavaScript.",

    second_factor: "Confirmez que c’est bien vous",
    code: "Code",
    code_of_app: "Saisissez les six chiffres affichés par votre application d’authentification.",
    code_of_app_or_recovery: "Saisissez les six chiffres affichés par votre application \
                              d’authentification, ou l’un de vos codes de secours.",
    code_of_recovery: "Saisissez l’un de vos codes de secours.",
    second_passkey: "Utiliser une clé d’accès",
    enrol: "Configurer une application d’authentification",
    enrol_why: "Votre compte exige une seconde étape à la connexion.",
    enrol_scan: "Scannez ceci avec votre application d’authentification :",
    enrol_by_hand: "Ou saisissez cette clé dans l’application :",
    enrol_qr: "Code QR contenant la clé pour votre application",
    enrol_confirm: "Saisissez ensuite les six chiffres affichés par l’application.",
    enrol_again: "Recommencer avec une nouvelle clé",
    recovery_codes: "Vos codes de secours",
    recovery_keep: "Chacun de ces codes vous connecte une fois sans l’application. Gardez-les en \
                    lieu sûr : ils ne seront plus affichés.",
    recovery_kept: "Je les ai gardés",

    new_password: "Nouveau mot de passe",
    new_password_why: "Il vous faut un nouveau mot de passe avant de continuer.",
    new_password_ends: "Vous serez déconnecté partout ailleurs.",
    password_saved: "Votre mot de passe a été changé.",
    current_password: "Mot de passe actuel",
    password_rule: |least| format!("Au moins {least} caractères. Quelques mots conviennent bien."),
    repeat_password: "Répétez le nouveau mot de passe",
    save_password: "Enregistrer le mot de passe",

    consent_title: |client| format!("{client} demande un accès"),
    consent_wants: "L’application souhaite :",
    consent_nothing: "L’application souhaite seulement savoir que vous êtes connecté.",
    consent_resources: "Elle s’en servirait auprès de :",
    consent_then: |target| format!("Vous reviendrez ensuite à {target}"),
    consent_about: "À propos de cette application",

    scope_openid: "Savoir qui vous êtes",
    scope_profile: "Voir votre nom et votre photo",
    scope_email: "Voir votre adresse e-mail",
    scope_offline_access: "Garder cet accès en votre absence",

    device: "Connecter un appareil",
    device_code: "Code affiché par votre appareil",
    device_hint: "Saisissez le code que votre appareil affiche.",
    device_unknown: "Ce code n’existe pas ou a expiré. Demandez-en un autre à votre appareil.",
    device_compare: "Votre appareil affiche-t-il ce code ?",
    device_beware: "N’autorisez que si l’appareil est devant vous. Si quelqu’un vous a envoyé \
                    ici, n’autorisez pas.",
    device_allowed: "L’appareil est connecté.",
    device_denied: "L’appareil n’obtient aucun accès.",
    device_return: "Vous pouvez fermer cette page et revenir à votre appareil.",

    account: "Votre compte",
    sessions: "Où vous êtes connecté",
    sessions_intro: "Fermez ce que vous ne connaissez pas, puis changez de mot de passe.",
    session_here: "Ce navigateur",
    session_browser: "Un navigateur",
    browser_on: |browser, system| format!("{browser} sous {system}"),
    session_client: |client| format!("Application {client}"),
    session_began: "Depuis",
    session_used: "Dernière utilisation",
    session_end: "Fermer",
    session_end_one: |what| format!("Fermer : {what}"),
    sessions_end_others: "Se déconnecter partout ailleurs",
    sessions_end_all: "Se déconnecter partout",
    factors: "Connexion en deux étapes",
    factors_intro: "Après votre mot de passe, vous confirmez ainsi que c’est bien vous.",
    factors_none: "Rien n’est configuré. Votre mot de passe seul ouvre votre compte.",
    factor_app: "Application d’authentification",
    factor_added: "Ajoutée",
    factor_used: "Dernière utilisation",
    factor_remove: "Retirer",
    factor_remove_one: |what| format!("Retirer : {what}"),
    factor_add_app: "Configurer une application d’authentification",
    last_factor: "Votre compte exige une seconde étape. Configurez-en une autre avant de retirer \
                  celle-ci.",
    codes_left: |count| match count {
        1 => "Il vous reste 1 code de secours.".to_owned(),
        _ => format!("Il vous reste {count} codes de secours."),
    },
    codes_none: "Vous n’avez aucun code de secours. Sans votre application ou votre clé d’accès, \
                 vous ne pourriez pas vous connecter.",
    codes_renew: "Créer de nouveaux codes de secours",
    passkeys: "Clés d’accès",
    passkeys_intro: "Une clé d’accès vous connecte par le déverrouillage de votre appareil, sans \
                     mot de passe.",
    passkeys_none: "Vous n’avez pas encore de clé d’accès.",
    passkey_name: "Nom de la nouvelle clé d’accès",
    passkey_name_hint: "Par exemple l’appareil qui la garde.",
    passkey_add: "Ajouter une clé d’accès",
    consents: "Applications autorisées",
    consents_intro: "Ces applications peuvent agir en votre nom, car vous l’avez autorisé.",
    consents_none: "Vous n’avez autorisé aucune application.",
    consent_since: "Autorisée",
    consent_end: "Révoquer",
    consent_end_one: |client| format!("Révoquer : {client}"),

    ask_sign_out: "Voulez-vous vous déconnecter ?",
    signed_out: "Vous êtes déconnecté",
    signed_out_text: "Sur un ordinateur partagé, fermez aussi le navigateur.",
    sign_in_again: "Se reconnecter",

    wrong_credentials: "L’e-mail ou le mot de passe est incorrect.",
    wrong_current_password: "Le mot de passe actuel est incorrect.",
    wrong_code: "Ce code est incorrect ou a déjà été utilisé.",
    limited: |minutes| match minutes {
        1 => "Trop d’essais. Réessayez dans 1 minute.".to_owned(),
        _ => format!("Trop d’essais. Réessayez dans {minutes} minutes."),
    },
    blocked: "Ce compte est désactivé. Adressez-vous à la personne qui s’en occupe.",
    expired: "Cela a pris trop de temps. Veuillez recommencer.",
    exhausted: "Trop d’essais erronés. Veuillez recommencer.",
    cookies_needed: "Votre navigateur n’a pas envoyé de cookie. Autorisez les cookies pour ce \
                     site et réessayez.",
    no_log_in: "Aucune connexion n’est en cours dans ce navigateur : elle est terminée, ou elle a pris \
                trop de temps. Veuillez recommencer.",
    busy: "Beaucoup de personnes se connectent en ce moment. Réessayez dans un instant.",
    password_too_short: "Ce mot de passe est trop court.",
    password_too_long: "Ce mot de passe est trop long.",
    password_is_email: "Ce mot de passe est votre adresse e-mail. Choisissez-en un autre.",
    password_is_same: "C’est déjà votre mot de passe. Choisissez-en un autre.",
    password_breached: "Ce mot de passe figure dans une fuite de données. Choisissez-en un autre.",
    password_refused: "Ce mot de passe ne peut pas être utilisé. Choisissez-en un autre.",
    password_differs: "Les deux mots de passe sont différents.",
    unavailable: "Un élément nécessaire est injoignable. Réessayez dans un instant.",

    error: "Cela n’a pas fonctionné",
    error_id: "Référence pour vos questions :",
    error_unknown_client: "L’application qui vous a envoyé ici est inconnue. Rien ne lui a été \
                           transmis.",
    error_redirect: "L’application qui vous a envoyé ici veut vous faire revenir à un endroit qui \
                     n’est pas enregistré pour elle. Rien ne lui a été transmis.",
    error_logout_uri: "L’application qui vous a envoyé ici veut vous envoyer, après la déconnexion, à \
                       un endroit (post_logout_redirect_uri) qui n’est pas enregistré pour elle. \
                       Vous n’avez pas été déconnecté.",
    error_unreadable: "La demande est illisible. Recommencez depuis l’application.",
    error_too_large: "La demande est trop longue. Recommencez depuis l’application.",
    error_request_expired: "Cette demande a expiré. Recommencez depuis l’application.",
    error_form: "Ce formulaire est trop ancien ou ne vient pas de cette page. Revenez en arrière, \
                 rechargez la page et envoyez-le de nouveau.",
    error_not_found: "Cette page n’existe pas.",
    error_method: "Cette page ne s’utilise pas ainsi.",
    error_internal: "Une erreur s’est produite de notre côté.",
    error_stranger: "L’application qui vous a envoyé ici n’obtient pas ce qu’elle demande, ou \
                     vous n’êtes pas connecté.",
    onward_beware: "Cette application s’est enregistrée elle-même, et personne ici ne l’a \
                    vérifiée. Ne continuez que si vous la connaissez.",
    onward: |place| format!("Continuer vers {place}"),
    elsewhere_denied: "Vous n’y avez pas été connecté. Recommencez, ou connectez-vous \
                      autrement.",
    elsewhere_away: "Le fournisseur avec lequel vous voulez vous connecter est injoignable pour \
                      le moment.",
    elsewhere_answer: "La réponse du fournisseur est inutilisable. Recommencez ; la personne \
                      qui gère cette page en trouve la raison dans le journal.",
    elsewhere_email: "Le fournisseur ne confirme pour vous aucune adresse e-mail qui permette \
                      de se connecter ici.",
    elsewhere_nobody: "Il n’y a pas de compte ici pour vous. Demandez-en un à la personne qui \
                      gère cette page.",
    elsewhere_taken: "Un compte avec votre adresse e-mail existe déjà ici. Connectez-vous avec \
                      son mot de passe, ou adressez-vous à la personne qui gère cette page.",
    elsewhere_second_factor: "Il faut ici un second facteur, et vous n’avez pas de compte qui \
                      puisse en avoir un. Adressez-vous à la personne qui gère cette page.",
};
