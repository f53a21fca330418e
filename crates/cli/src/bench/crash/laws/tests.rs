//! A check that cannot fail proves nothing: each law is broken once.
