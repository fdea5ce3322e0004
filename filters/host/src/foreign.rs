//! The messages of Envoy's foreign functions (`source/extensions/common/wasm/ext/*.proto`).

/// Calling a function of the host by name.
pub trait ForeignFunctions {
    /// The answer; none when there is no such function or it refused the arguments.
    fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>>;
}

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`; outside tests the verifier
/// writes it by hand.
#[cfg(test)]
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VerifySignatureArguments {
    #[prost(string, tag = "1")]
    pub(crate) hash_function: String,
    /// SubjectPublicKeyInfo in DER.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) text: Vec<u8>,
}

/// `envoy.source.extensions.common.wasm.VerifySignatureResult`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    pub(crate) result: bool,
    #[prost(string, tag = "2")]
    pub(crate) error: String,
}

/// `envoy.source.extensions.common.wasm.SignArguments`
#[cfg(target_arch = "wasm32")]
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SignArguments {
    #[prost(string, tag = "1")]
    pub(crate) hash_function: String,
    /// PKCS#8 in DER.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) private_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) text: Vec<u8>,
}
