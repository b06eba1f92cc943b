//! What the client is told when a commit did not go well, and problem documents.

use std::sync::Arc;

use http::{Method, StatusCode};
use session_core::{CommitOutcome, ErrorKind, SessionError, StoreError};
use session_http::{Problem, WhenEnded};

fn failed(kind: ErrorKind) -> CommitOutcome {
    CommitOutcome::Failed(Arc::new(StoreError::new("test", kind)))
}

/// SECURITY 25
#[test]
fn an_ended_session_refuses_unsafe_methods_and_lets_safe_ones_pass() {
    let policy = WhenEnded::default();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(
            policy.problem(&method, &CommitOutcome::Ended),
            Some(Problem::ENDED)
        );
        assert_eq!(
            WhenEnded::Pass.problem(&method, &CommitOutcome::Ended),
            None
        );
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert_eq!(policy.problem(&method, &CommitOutcome::Ended), None);
    }
    assert_eq!(policy.problem(&Method::POST, &CommitOutcome::Done), None);
}

/// SECURITY 42
#[test]
fn a_write_that_the_store_failed_to_keep_is_never_a_success() {
    for policy in [WhenEnded::RefuseUnsafe, WhenEnded::Pass] {
        for method in [Method::GET, Method::POST] {
            for (kind, status) in [
                (ErrorKind::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
                (ErrorKind::Full, StatusCode::SERVICE_UNAVAILABLE),
                (ErrorKind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE),
                (ErrorKind::Corrupt, StatusCode::INTERNAL_SERVER_ERROR),
                (ErrorKind::Config, StatusCode::INTERNAL_SERVER_ERROR),
            ] {
                let problem = policy.problem(&method, &failed(kind)).unwrap();
                assert_eq!(problem.status(), status, "{kind:?}");
            }
        }
    }
}

#[test]
fn each_error_of_a_session_has_its_status() {
    let store = |kind| SessionError::from(StoreError::new("test", kind));
    for (error, status, kind) in [
        (store(ErrorKind::Unavailable), 503, "unavailable"),
        (store(ErrorKind::Full), 503, "full"),
        (store(ErrorKind::TooLarge), 413, "too-large"),
        (store(ErrorKind::Corrupt), 500, "internal"),
        (SessionError::Reserved("session:csrf".into()), 400, "name"),
        (SessionError::Superseded, 409, "superseded"),
        (SessionError::Ended, 409, "ended"),
        (SessionError::Committed, 500, "internal"),
        (SessionError::Conflict, 409, "conflict"),
        (SessionError::NotSignedIn, 401, "not-signed-in"),
        (SessionError::Foreign, 403, "cross-origin"),
        (SessionError::Revoked, 401, "revoked"),
        (SessionError::LimitReached, 409, "limit-reached"),
    ] {
        let problem = Problem::from(&error);
        assert_eq!(problem.status().as_u16(), status, "{error}");
        assert_eq!(problem.kind(), format!("urn:problem-type:session:{kind}"));
    }
}

#[test]
fn a_problem_is_a_json_document_that_says_when_to_come_back_and_how_to_sign_in() {
    assert_eq!(
        Problem::UNAVAILABLE.to_json(),
        r#"{"type":"urn:problem-type:session:unavailable","title":"Sessions are out of reach","status":503}"#
    );
    let headers = Problem::UNAVAILABLE.headers();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(
        Problem::NOT_SIGNED_IN.headers()["www-authenticate"],
        "Cookie"
    );
    assert!(!Problem::ENDED.headers().contains_key("retry-after"));
}
