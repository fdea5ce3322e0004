// Passkeys, on the pages that offer them. Without this script, or in a browser that knows no
// passkeys, what it would do is not shown; everything else on these pages works.
"use strict";

(() => {
  const place = document.getElementById("passkey");
  const button = document.getElementById("passkey-use");
  if (!place || !button || !window.PublicKeyCredential || !navigator.credentials) {
    return;
  }
  const { options, finish, csrf, failed } = place.dataset;
  const makes = place.dataset.do === "create";

  // base64url without padding, as WebAuthn's JSON has it.
  const toBytes = (text) => {
    const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  };
  const toText = (buffer) => {
    const characters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte));
    return btoa(characters.join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  const ask = async (path, members, signal) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ csrf, ...members }),
      redirect: "error",
      signal,
    });
    if (makes && answer.status === 401) {
      // The log-in is too long ago: the page itself asks for another one.
      window.location.reload();
      await new Promise(() => {});
    }
    if (!answer.ok) {
      throw new Error(`${path} answered with ${answer.status}`);
    }
    return answer.json();
  };

  const answerOf = (credential) => {
    const from = credential.response;
    const response = { clientDataJSON: toText(from.clientDataJSON) };
    if (from.attestationObject) {
      response.attestationObject = toText(from.attestationObject);
    } else {
      response.authenticatorData = toText(from.authenticatorData);
      response.signature = toText(from.signature);
      response.userHandle = from.userHandle ? toText(from.userHandle) : null;
    }
    return { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response };
  };

  // Where it goes on was said by the server that has just let somebody in.
  const go = ({ location }) => window.location.assign(location);

  const use = async (how) => {
    const { publicKey } = await ask(options, {}, how.signal);
    publicKey.challenge = toBytes(publicKey.challenge);
    const credential = await navigator.credentials.get({ publicKey, ...how });
    const remember = document.getElementById("remember");
    go(await ask(finish, {
      credential: answerOf(credential),
      remember: Boolean(remember && remember.checked),
    }));
  };

  const make = async () => {
    const { publicKey } = await ask(options, {});
    publicKey.challenge = toBytes(publicKey.challenge);
    publicKey.user.id = toBytes(publicKey.user.id);
    for (const known of publicKey.excludeCredentials || []) {
      known.id = toBytes(known.id);
    }
    const credential = await navigator.credentials.create({ publicKey });
    const name = document.getElementById("passkey-name").value;
    go(await ask(finish, { credential: answerOf(credential), name }));
  };

  const hush = () => document.getElementById("passkey-problem")?.remove();
  const tell = () => {
    hush();
    const problem = document.createElement("p");
    problem.id = "passkey-problem";
    problem.className = "problem";
    problem.setAttribute("role", "alert");
    problem.textContent = failed;
    place.prepend(problem);
  };

  // Passkeys among what the browser offers for the e-mail, where it can do that. One question at
  // a time: the button ends this one before it asks.
  let waiting = null;
  const offer = async () => {
    const field = document.querySelector("input[autocomplete~='webauthn']");
    if (!field || !PublicKeyCredential.isConditionalMediationAvailable) {
      return;
    }
    const controller = new AbortController();
    waiting = controller;
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable())) {
        return;
      }
      await use({ mediation: "conditional", signal: controller.signal });
    } catch (error) {
      if (waiting === controller && !["AbortError", "NotAllowedError"].includes(error.name)) {
        tell();
      }
    }
  };

  button.addEventListener("click", async () => {
    waiting?.abort();
    waiting = null;
    hush();
    button.disabled = true;
    try {
      await (makes ? make() : use({}));
    } catch {
      tell();
    }
    button.disabled = false;
  });
  document.getElementById("passkey-name")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      button.click();
    }
  });

  document.getElementById("passkey-without")?.remove();
  place.hidden = false;
  if (!makes) {
    offer();
  }
})();
