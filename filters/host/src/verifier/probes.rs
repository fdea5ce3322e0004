//! Signatures that hold, one for each algorithm that a host may know. The private halves of the
//! EC keys are gone; that of the RSA key is the one in the tests of `core/jose`.

use postern_jose::Algorithm;

/// What all of them have signed.
pub(super) const TEXT: &[u8] = b"postern probe";

/// A key, as SubjectPublicKeyInfo, and its signature, as JWS has it; both in base64url.
pub(super) struct Probe {
    pub(super) algorithm: Algorithm,
    pub(super) public_key: &'static str,
    pub(super) signature: &'static str,
}

pub(super) const PROBES: [Probe; 6] = [
    Probe {
        algorithm: Algorithm::Rs256,
        public_key: RSA,
        signature: "qb9SabvjRa3w6LDJmwi7sAI4fLTNKZFgkH2dSZXPc6xgGW6nVOAGwA6OwH-Psv6nIYHXSVHUv9aBk5GdDXZeeruKocyXjziToVeh-Hsrf6l6mUszAWLXhE98NJ9i67nuo_X43LhwKGMbh0C_sf5ga9a4uIcJkwBIZ9xawDukrhRt2r-Fscxp9kwJb0GhDwGww16y5HHEwfkVToVMxMLhiPrGdAMCzhZmiHG1Jaqawwe2yjRNqJPgRdCyuo8iHnI2ihHDiN39jNJBSKNv1ap63nn4jBE4_l2JicH0bkohnrEqCxbhkbT3aDpOWaWH015HQHW1QtAxzChkhiNMDKTVLQ",
    },
    Probe {
        algorithm: Algorithm::Rs384,
        public_key: RSA,
        signature: "M6rm_iqel0OQXa-hrozctMskrS2TyEfZ3WUtmBXViObYs8VhpIVWme72IkRFQjd5Mdjyn9bDn3-Cw5NP5TwCPqoEawwhUEAMj1UIFZFw9LeO4EvzOEI1bGwMBhRXXuaeMBecLdC1sZ8qkwYye7PvgOIFGE-9lVMkCurH4EDfmUx8a9DU5NJqRvSqS8EWIKYtlp_Qw5RxGHAxfTj1AAjbCG0auOVp2NZqFBqb6J4lcRs9nKDcJo5ajbv0yk_Ew_GGUe-v-uPU1TlXJ6CX5vOqQ4CR3AESACjmcB_5x4_Ow0Ch88El_upNztkcC97n4wxqSG1gSZ-p_mw0n9kAwQ16mA",
    },
    Probe {
        algorithm: Algorithm::Rs512,
        public_key: RSA,
        signature: "Q8S5H1txaOr6WceQ8SE1jVjEGZyUQy3ZrXFtVrK4SXhIMvwTSP8b_RaiKWzZHdFzV_5CIUYkTkX9NicA3xuTTmscF6ECjvos3E8-nXJQF-z7fILL4YQasC8yYLxPFgl_ensbVdVMUL18zMSSU1DNy9jQJwAS1-lpGPvLdnpxiAfp-oTgJRVU-DKfPSr6AqEeiId9FZxfuOdMJMP2spDuhmF1vvIXxCsYbnBf2K99iRhA6-6ehyaN3kn_O8ZrI2EV4CgTWL-UbglY_dhq2gMFdb4Oo3IS5Y15tAOOT6VPZdU6iYPyFuqoNS1zTGYFdYJF-0-y5KzoUcgop165w_hl2Q",
    },
    Probe {
        algorithm: Algorithm::Es256,
        public_key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQqeebyHLyqX3MtOXKl8y5n3X54eiRqWiCF6aZHy2IZcb2B-vadQq7MlLXnmPgGPUoriuj1_y8FhWsa-LzwRMrA",
        signature: "0FYt8rfYtXtCaEpVk37VXZqcBVAXKMSSpTidv60umEu8kOQcxNX9ZxRG2WZb0po7RQH3xe9jhQJXHxSIkw762g",
    },
    Probe {
        algorithm: Algorithm::Es384,
        public_key: "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAECv9M6Zu64mPWCqKyAR1uVlns6ljCt0Bdb1IocW996Qid5sx61hPKTv7DlRSzdTVHHXIuG5jTSE5cYH-8rU1yHikGHahtGYJlRialyPxvS82Kt71sOWaoERC2p6Nno_ph",
        signature: "91X0b25xh6rfa6ExtgXEJSIhou8NptBkJAG7d3fNSeBa_oPTgB4jZbAr6VriI_oyN4xIVMEbPoBt-ASXwhRHxVHT7_ve8QIIhDosHpNd6NgcCx6UydYxUNh83u8o85TG",
    },
    Probe {
        algorithm: Algorithm::Es512,
        public_key: "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAO3iqc-oMlmE2nVdgnbglGMef7EoG_cxHIYIgOpAigyTq7TOCGFcXM178BusTu_EaI2QHKDVvJHhXjbwKZWCAWi0BBrP2THdslMpNKFgEX12qLZAWnbU3GFkBUMT3qh3O7yiOKmNcitRPm6UZBjsefGaPfYf9tqH3GvW0IRbW4Y4goFU",
        signature: "AWnsQoIXwHT9Brk8w6JIqfRxCny_ULwQvIlLuK5i03Dbox_mvxMepnVgsNjyPAY0FFSTgMGvjny-xc9h6TWUCzKVAFtE0jfgQ_PZnaAZ05Nu_bBvvXzcIow5OaflZtyT4XHCS2iaqtDYtB6t78zNxnQFUi11ERjSRnvgIGnkv3V_GMDl",
    },
];

const RSA: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwLwnprqacSsAQf-uqZ8DHgx9C8kacJhBSrxn0huROMa4gtdeNRniFtPNNWvz-d4PVe8AHrj25-FjvQ2w9TlWMs8zf7qq0P5WRXjkwMTHDc0CinAAmTBgVJmuf0-YfzaXKqJmqQe5vR74iU6AEPUQ__pRZ0cIJ2lpAX_FfzbgOR947IBHiNSL3wpTKzExHrCNfY8c-8c7r4NcpZjVKb_PqRgHS_oNjVhk9dZvG_YjNeDVGCR_BAtPFo1HGWwGeb5KTpTTIujqW69tRakgidKMAJI9fxZ0Ncr_l6h4spiCENlua6-x_ig8pOcoKr5n7Ml9fpwDK32gpP1urI_HrOO9bwIDAQAB";
