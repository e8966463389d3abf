//! Part of wugan.
