//! Mail programs send: on 587 after STARTTLS and on 465.

mod login;
mod permission;
mod wires_agree;
