//! The one choice that rustls leaves to the program.

/// Makes *ring* the process's cryptography, unless the program has chosen another.
///
/// Clients cannot be built without one, not even those that never use TLS.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
