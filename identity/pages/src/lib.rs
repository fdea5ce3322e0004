//! The pages of the authorization server: logging in, consent, devices, the account.
//!
//! A page is a function from what it shows to HTML, in a language that the browser asks for.
//! Templates are compiled, and whatever comes from outside is escaped by them. No page needs
//! JavaScript but for passkeys, and none loads anything from elsewhere.
//!
//! Deliberately absent: HTTP, stores, clocks, and every decision. Who is asked what is for
//! `postern-identity` to say.
