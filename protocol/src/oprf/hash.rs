//! Hash functions of the suite (RFC 9497, section 4.1, and RFC 9380, section 5.3.1) and keyed derivation.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use ring::hmac;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::element::Element;
use super::rfc::Mode;

/// `HashToGroup`: ristretto255's one-way map of 64 expanded bytes, under the mode's domain separation tag.
pub(super) fn hash_to_group(mode: Mode, input: &[u8]) -> RistrettoPoint {
    let uniform = Zeroizing::new(expand_message_xmd(&[input], &[b"HashToGroup-", mode.context_string()]));
    RistrettoPoint::from_uniform_bytes(&uniform)
}

/// `HashToScalar` with the tag `prefix ‖ contextString`: 64 expanded bytes, little-endian, modulo the order.
pub(super) fn hash_to_scalar(mode: Mode, input: &[&[u8]], prefix: &[u8]) -> Scalar {
    let uniform = Zeroizing::new(expand_message_xmd(input, &[prefix, mode.context_string()]));
    Scalar::from_bytes_mod_order_wide(&uniform)
}

/// The hash that ends `Finalize` and `Evaluate`. `input` has at most 65,535 bytes.
pub(super) fn hash_output(input: &[u8], element: &Element) -> Zeroizing<[u8; 64]> {
    let mut hash = Sha512::new();
    hash.update(i2osp_2(input.len()));
    hash.update(input);
    hash.update(i2osp_2(element.len()));
    hash.update(element);
    hash.update(b"Finalize");
    Zeroizing::new(hash.finalize().into())
}

/// RFC 8017's `I2OSP(length, 2)`; callers keep `length` below 2^16.
pub(super) fn i2osp_2(length: usize) -> [u8; 2] {
    debug_assert!(length < 1 << 16);
    [(length >> 8) as u8, length as u8]
}

/// SHA-512 begun with a label of this project: its length as u16, little-endian, then its bytes.
pub(super) fn labelled(label: &str) -> Sha512 {
    let mut hash = Sha512::new();
    hash.update((label.len() as u16).to_le_bytes());
    hash.update(label);
    hash
}

/// A scalar from 64 hash bytes, little-endian, modulo the order.
pub(super) fn wide_scalar(hash: Sha512) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// HMAC-SHA-512 over the concatenated parts.
pub(super) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    let mut out = Zeroizing::new([0; 64]);
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// `expand_message_xmd` with SHA-512 for 64 bytes, which is one output block: `b_1`.
fn expand_message_xmd(message: &[&[u8]], dst: &[&[u8]]) -> [u8; 64] {
    const Z_PAD: [u8; 128] = [0; 128];
    let mut b_0 = Sha512::new();
    b_0.update(Z_PAD);
    message.iter().for_each(|part| b_0.update(part));
    b_0.update(i2osp_2(64));
    b_0.update([0]);
    update_dst_prime(&mut b_0, dst);

    let mut b_1 = Sha512::new();
    b_1.update(b_0.finalize());
    b_1.update([1]);
    update_dst_prime(&mut b_1, dst);
    b_1.finalize().into()
}

fn update_dst_prime(hash: &mut Sha512, dst: &[&[u8]]) {
    dst.iter().for_each(|part| hash.update(part));
    hash.update([dst.iter().map(|part| part.len() as u8).sum::<u8>()]);
}
