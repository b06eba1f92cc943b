//! Cookies that had another form before.

use session_http::{CookieOptions, Former, InvalidCookie};

use crate::world::{World, get, read, write};

fn moved() -> World {
    World::with_cookie(
        CookieOptions::new()
            .with_former(
                Former::new("sid")
                    .with_path("/app")
                    .with_domain("example.com"),
            )
            .with_former(Former::new("old").with_secure(false)),
    )
}

#[tokio::test]
async fn a_former_form_is_read() {
    let world = moved();
    let token = world.visitor().await;
    for name in ["sid", "old", "__Host-id"] {
        let request = get().header("cookie", format!("{name}={token}"));
        let done = world.play(request, read).await;
        assert_eq!(
            done.session.get::<u32>("n").await.unwrap(),
            Some(1),
            "{name}"
        );
        assert_eq!(done.set_cookies(), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn a_response_that_sets_the_new_form_removes_the_former_ones() {
    let world = moved();
    let done = world.play(get(), write).await;
    let token = done.token();
    assert_eq!(
        done.set_cookies(),
        [
            format!("__Host-id={token}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200")
                .as_str(),
            "sid=; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "old=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ]
    );
}

#[tokio::test]
async fn a_response_that_sets_nothing_new_removes_no_former_form() {
    let world = moved();
    let token = world.visitor().await;
    let request = get().header("cookie", format!("sid={token}"));
    let done = world
        .play(request, async |session| session.destroy().await.unwrap())
        .await;
    assert_eq!(done.set_cookies().len(), 1);
    assert!(done.set_cookies()[0].starts_with("__Host-id=; "));
}

#[test]
fn the_present_form_is_no_former_one_and_a_former_one_must_be_possible() {
    let with = |former| CookieOptions::new().with_former(former).build();
    assert_eq!(
        with(Former::new("__Host-id")),
        Err(InvalidCookie::FormerIsPresent)
    );
    assert!(with(Former::new("__Host-id").with_partitioned(true)).is_ok());
    assert_eq!(
        with(Former::new("__Host-sid").with_domain("example.com")),
        Err(InvalidCookie::PrefixForbidsDomain("__Host-sid".into()))
    );
    assert_eq!(
        with(Former::new("a b")),
        Err(InvalidCookie::Name("a b".into()))
    );
}
