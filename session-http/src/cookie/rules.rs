//! What browsers demand of a cookie (RFC 6265bis, 4.1, 5.6 and 5.7; CHIPS).

use super::{CookieOptions, InvalidCookie, SameSite};

/// Name and value together.
const MAX_PAIR: usize = 4096;
/// The value of one attribute.
const MAX_ATTRIBUTE: usize = 1024;
/// No token is longer.
const MAX_TOKEN: usize = 64;

/// Checks the options and puts them into their one spelling.
pub(super) fn check(mut options: CookieOptions) -> Result<CookieOptions, InvalidCookie> {
    if options.name.is_empty() || !options.name.bytes().all(is_token_char) {
        return Err(InvalidCookie::Name(options.name));
    }
    let path_is_legal = options.path.starts_with('/')
        && options
            .path
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
        && !options.path.ends_with(' ');
    if !path_is_legal {
        return Err(InvalidCookie::Path(options.path));
    }
    if let Some(domain) = &mut options.domain {
        if !is_host_name(domain) {
            return Err(InvalidCookie::Domain(std::mem::take(domain)));
        }
        domain.make_ascii_lowercase();
    }
    check_lengths(&options)?;
    check_prefix(&options)?;
    if options.same_site == SameSite::None && !options.secure {
        return Err(InvalidCookie::SameSiteNoneNeedsSecure);
    }
    if options.partitioned && !options.secure {
        return Err(InvalidCookie::PartitionedNeedsSecure);
    }
    Ok(options)
}

fn check_lengths(options: &CookieOptions) -> Result<(), InvalidCookie> {
    let too_long = |what, max| Err(InvalidCookie::TooLong { what, max });
    if options.name.len() + MAX_TOKEN > MAX_PAIR {
        return too_long("name and value", MAX_PAIR);
    }
    // A domain is a host name, and so shorter in any case.
    if options.path.len() > MAX_ATTRIBUTE {
        return too_long("path", MAX_ATTRIBUTE);
    }
    Ok(())
}

/// Browsers compare prefixes without regard to case.
fn check_prefix(options: &CookieOptions) -> Result<(), InvalidCookie> {
    let name = options.name.to_ascii_lowercase();
    let (host, http) = (
        name.starts_with("__host-"),
        name.starts_with("__http-") || name.starts_with("__host-http-"),
    );
    let refuse = |why: fn(String) -> InvalidCookie| Err(why(options.name.clone()));
    if (host || http || name.starts_with("__secure-")) && !options.secure {
        return refuse(InvalidCookie::PrefixNeedsSecure);
    }
    if http && !options.http_only {
        return refuse(InvalidCookie::PrefixNeedsHttpOnly);
    }
    if host && options.domain.is_some() {
        return refuse(InvalidCookie::PrefixForbidsDomain);
    }
    if host && options.path != "/" {
        return refuse(InvalidCookie::PrefixNeedsRootPath);
    }
    Ok(())
}

/// RFC 9110, 5.6.2.
const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Labels of letters, digits and inner hyphens, parted by dots; no address, which has no subdomains.
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let ends_in_a_number = |domain: &str| {
        domain
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
    };
    domain.len() <= 253 && domain.split('.').all(is_label) && !ends_in_a_number(domain)
}
