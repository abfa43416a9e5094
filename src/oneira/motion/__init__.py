"""Films: frames in, frames out. Nothing outside of this package knows about containers, codecs or optical flow."""
