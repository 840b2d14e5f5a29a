//! PLAIN, RFC 4616, and the texts of LOGIN.

use super::{Secret, Turn};

/// RFC 4616 §2. `message = [authzid] UTF8NUL authcid UTF8NUL passwd`
///
/// Acting for somebody else is not possible: an authzid must be the login name.
pub(super) fn plain(octets: &[u8]) -> Turn {
    let Ok(message) = std::str::from_utf8(octets) else {
        return Turn::Malformed;
    };
    let mut parts = message.split('\0');
    let (Some(authzid), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Turn::Malformed;
    };
    let own = authzid.is_empty() || authzid == username;
    if !own || username.is_empty() || password.is_empty() {
        return Turn::Malformed;
    }
    Turn::Password { username: username.to_owned(), password: Secret(password.to_owned()) }
}

/// A login name or password of LOGIN.
pub(super) fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_three_parts() {
        for good in [&b"\0tim\0tanstaaf"[..], b"tim\0tim\0tanstaaf"] {
            let turn = plain(good);
            let Turn::Password { username, password } = turn else { panic!("{turn:?}") };
            assert_eq!((username.as_str(), password.reveal()), ("tim", "tanstaaf"));
        }
        let bad: [&[u8]; 8] = [
            b"",
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0x",
            b"ursel\0kurt\0x",
            b"\0a\0b\0c",
            b"\0\xff\0x",
        ];
        for message in bad {
            assert_eq!(plain(message), Turn::Malformed, "{message:?}");
        }
    }
}
