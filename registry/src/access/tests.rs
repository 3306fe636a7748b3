use hull_images::repositories::{Change, Visibility};
use hull_images::{Options, Store};

use super::*;

fn repositories() -> (tempfile::TempDir, Repositories) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    (folder, Repositories::new(&store))
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn access(users_may: Option<UsersMay>, rules: &str) -> (tempfile::TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    std::fs::write(&path, "").unwrap();
    let config: crate::config::Config = toml::from_str(rules).unwrap();
    let auth = users_may.map(|users_may| Auth {
        realm: "x".into(),
        htpasswd: path,
        users_may,
        token: None,
    });
    let access = Access::new(auth.as_ref(), config.rights, "").unwrap();
    (folder, access)
}

fn user(name: &str) -> Actor {
    Actor::User(name.to_owned())
}

const ACTIONS: [Action; 3] = [Action::Pull, Action::Push, Action::Delete];

/// What an actor may, as letters.
fn may(access: &Access, repositories: &Repositories, actor: &Actor, repository: &str) -> String {
    let allowed = ACTIONS.iter().zip(["p", "P", "D"]).filter(|(action, _)| {
        let check = access.check(repositories, actor, &name(repository), **action);
        if let Err(refusal) = &check {
            let known = *actor != Actor::Anonymous || access.is_open();
            assert!(refusal.has(if known {
                Code::Denied
            } else {
                Code::Unauthorized
            }));
        }
        check.is_ok()
    });
    allowed.map(|(_, letter)| letter).collect()
}

#[test]
fn without_passwords_everybody_may_everything() {
    let (_folder, repositories) = repositories();
    let (_file, access) = access(None, "");
    assert_eq!(may(&access, &repositories, &Actor::Anonymous, "a"), "pPD");
    assert!(access.check_known(&Actor::Anonymous).is_ok());
}

#[test]
fn with_passwords_users_may_everything_and_others_nothing() {
    let (_folder, repositories) = repositories();
    let (_file, access) = access(Some(UsersMay::Everything), "");
    assert_eq!(may(&access, &repositories, &user("ann"), "a"), "pPD");
    assert_eq!(may(&access, &repositories, &Actor::Anonymous, "a"), "");
    assert!(access.check_known(&Actor::Anonymous).is_err());
}

#[test]
fn rules_say_who_may_what_where() {
    let (_folder, repositories) = repositories();
    let rules = r#"
        [[rights]]
        users = ["ann"]
        repositories = ["team/**"]
        actions = ["pull", "push", "delete"]
        [[rights]]
        users = ["@all"]
        repositories = ["team/*"]
        actions = ["push"]
        [[rights]]
        users = ["@anonymous"]
        repositories = ["library/*"]
        actions = ["pull"]
    "#;
    let (_file, access) = access(Some(UsersMay::Everything), rules);
    let check = |actor: &Actor, repository: &str, expected: &str| {
        let found = may(&access, &repositories, actor, repository);
        assert_eq!(found, expected, "{actor:?} {repository}");
    };
    check(&user("ann"), "team/a", "pPD");
    check(&user("ann"), "team/a/b", "pPD");
    check(&user("bob"), "team/a", "P");
    check(&user("bob"), "team/a/b", "");
    check(&user("bob"), "library/x", "p");
    check(&Actor::Anonymous, "library/x", "p");
    check(&Actor::Anonymous, "team/a", "");
}

#[test]
fn a_repository_is_its_owner_s_and_whom_he_opens_it_to() {
    let (_folder, repositories) = repositories();
    let (_file, access) = access(Some(UsersMay::Own), "");
    let open = |repository: &str, visibility| {
        let change = Change {
            owner: Some("ann".into()),
            visibility: Some(visibility),
            collaborators: Some(vec!["bob".into()]),
            ..Change::default()
        };
        repositories.change(&name(repository), &change).unwrap();
    };
    open("shared/private", Visibility::Private);
    open("shared/public", Visibility::Public);
    let check = |actor: &Actor, repository: &str, expected: &str| {
        let found = may(&access, &repositories, actor, repository);
        assert_eq!(found, expected, "{actor:?} {repository}");
        let sight = access.sight(&repositories, actor).unwrap();
        assert_eq!(sight.sees(&name(repository)), expected.contains('p'));
    };
    for repository in ["shared/private", "shared/public"] {
        check(&user("ann"), repository, "pPD");
        check(&user("bob"), repository, "pP");
    }
    check(&user("cid"), "shared/private", "");
    check(&user("cid"), "shared/public", "p");
    check(&Actor::Anonymous, "shared/private", "");
    check(&Actor::Anonymous, "shared/public", "p");
    check(&user("cid"), "cid/new", "pPD");
    check(&user("cid"), "cider/new", "");
    check(&user("cid"), "ann/new", "");
}

#[test]
fn basic_headers_are_read() {
    let check = |text: &str| basic(text);
    let expected = Some(("ann".to_owned(), "a:b".to_owned()));
    assert_eq!(check("Basic YW5uOmE6Yg=="), expected);
    assert_eq!(check("basic YW5uOmE6Yg=="), expected);
    for bad in [
        "",
        "Basic",
        "Basic ???",
        "Bearer YW5uOmE6Yg==",
        "Basic YW5u",
    ] {
        assert_eq!(check(bad), None, "{bad:?}");
    }
}
