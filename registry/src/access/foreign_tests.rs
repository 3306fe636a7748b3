use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaKeyPair,
};
use ring::{hmac, signature};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::*;

/// A key pair, its files made by openssl.
struct Pair {
    folder: tempfile::TempDir,
    algorithm: &'static str,
}

impl Pair {
    fn new(algorithm: &'static str) -> Pair {
        let folder = tempfile::tempdir().unwrap();
        let kind = match algorithm {
            "RS256" | "PS512" => "RSA -pkeyopt rsa_keygen_bits:2048",
            "ES256" => "EC -pkeyopt ec_paramgen_curve:P-256",
            "ES384" => "EC -pkeyopt ec_paramgen_curve:P-384",
            _ => "ED25519",
        };
        let pair = Pair { folder, algorithm };
        pair.openssl(&format!("genpkey -out secret.pem -algorithm {kind}"));
        pair.openssl("pkey -in secret.pem -pubout -out public.pem");
        pair.openssl("req -x509 -key secret.pem -out certificate.pem -days 2 -subj /CN=issuer");
        pair
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let command = command.args(arguments.split_whitespace());
        let output = command.current_dir(self.folder.path()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {error}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.file("secret.pem")).unwrap()
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let (secret, random, text) = (self.secret(), SystemRandom::new(), text.as_bytes());
        let secret = secret.secret_der();
        let elliptic = |way| {
            let pair = EcdsaKeyPair::from_pkcs8(way, secret, &random).unwrap();
            pair.sign(&random, text).unwrap().as_ref().to_vec()
        };
        let rsa = |way: &'static dyn signature::RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(secret).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(way, &random, text, &mut signature).unwrap();
            signature
        };
        match self.algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(secret).unwrap();
                pair.sign(text).as_ref().to_vec()
            }
        }
    }

    fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"typ": "JWT", "alg": self.algorithm}), claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let text = text(header, claims);
        let signature = self.sign(&text);
        format!("{text}.{}", encode(&signature))
    }

    /// The public key as a JSON web key.
    fn jwk(&self, id: &str) -> Value {
        let keys = keys::load(&self.file("public.pem")).unwrap();
        keys[0].jwk(id)
    }

    fn trusted(&self) -> Trusted {
        trust(&self.file("public.pem")).unwrap()
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn text(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn trust(keys: &Path) -> Result<Trusted, KeysError> {
    Trusted::new(&Tokens {
        realm: "https://auth.example/token".into(),
        service: "registry.example".into(),
        issuer: "auth.example".into(),
        keys: keys.to_owned(),
        leeway: a_minute(),
    })
}

fn claims() -> Value {
    json!({
        "iss": "auth.example", "aud": "registry.example", "sub": "ann",
        "exp": now() + 300, "nbf": now(), "iat": now(), "jti": "x",
        "access": [{"type": "repository", "class": "", "name": "a/b", "actions": ["pull"]}],
    })
}

/// The claims with one of them changed; null takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.into(), value),
    };
    claims
}

#[test]
fn tokens_of_every_kind_of_key_are_known_from_every_kind_of_file() {
    for algorithm in ["RS256", "PS512", "ES256", "ES384", "EdDSA"] {
        let pair = Pair::new(algorithm);
        let set = json!({"keys": [pair.jwk("one")]});
        fs::write(pair.file("set.json"), set.to_string()).unwrap();
        for file in ["public.pem", "certificate.pem", "set.json"] {
            let trusted = trust(&pair.file(file)).unwrap();
            let said = trusted.verify(&pair.token(&claims())).unwrap();
            assert_eq!(said.user.as_deref(), Some("ann"), "{algorithm} {file}");
            assert!(said.grants[0].allows("a/b", super::super::Action::Pull));
            assert!(!said.grants[0].allows("a/b", super::super::Action::Push));
        }
    }
}

#[test]
fn only_signatures_of_the_trusted_key_count() {
    let pair = Pair::new("ES256");
    let trusted = pair.trusted();
    assert!(trusted.verify(&pair.token(&claims())).is_some());
    assert_eq!(trusted.verify(&Pair::new("ES256").token(&claims())), None);
    let unsigned = |algorithm: &str| text(&json!({"alg": algorithm}), &claims());
    for algorithm in ["none", "None", "", "HS256", "ES384", "RS256", "EdDSA"] {
        let text = unsigned(algorithm);
        assert_eq!(trusted.verify(&format!("{text}.")), None, "{algorithm}");
        // A good signature under another name, too.
        let signature = encode(&pair.sign(&text));
        assert_eq!(
            trusted.verify(&format!("{text}.{signature}")),
            None,
            "{algorithm}"
        );
    }
    // The public key is no secret to sign with.
    let text = unsigned("HS256");
    for file in ["public.pem", "certificate.pem"] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &fs::read(pair.file(file)).unwrap());
        let tag = hmac::sign(&key, text.as_bytes());
        assert_eq!(
            trusted.verify(&format!("{text}.{}", encode(tag.as_ref()))),
            None
        );
    }
    // Nor does a token bring its own key.
    let stranger = Pair::new("ES256");
    let header = json!({"alg": "ES256", "jwk": stranger.jwk("x"), "kid": "x"});
    assert_eq!(
        trusted.verify(&stranger.token_with(&header, &claims())),
        None
    );
    let critical = json!({"alg": "ES256", "crit": ["b64"], "b64": true});
    assert_eq!(trusted.verify(&pair.token_with(&critical, &claims())), None);
}

#[test]
fn a_key_s_name_chooses_it_and_its_algorithm_binds_it() {
    let (one, two) = (Pair::new("ES256"), Pair::new("ES256"));
    let file = one.file("set.json");
    let write = |first: Value| {
        let set = json!({"keys": [first, two.jwk("two"), {"kty": "EC", "crv": "P-521"}]});
        fs::write(&file, set.to_string()).unwrap();
        trust(&file).unwrap()
    };
    let trusted = write(one.jwk("one"));
    let named =
        |pair: &Pair, id: &str| pair.token_with(&json!({"alg": "ES256", "kid": id}), &claims());
    assert!(trusted.verify(&named(&one, "one")).is_some());
    assert_eq!(trusted.verify(&named(&one, "two")), None);
    // A name that is in no key says nothing.
    assert!(trusted.verify(&named(&two, "other")).is_some());
    let mut bound = one.jwk("one");
    bound["alg"] = json!("ES384");
    assert_eq!(write(bound).verify(&named(&one, "one")), None);
    let mut enciphering = one.jwk("one");
    enciphering["use"] = json!("enc");
    assert_eq!(write(enciphering).verify(&named(&one, "one")), None);
}

#[test]
fn claims_must_be_for_here_and_now() {
    let pair = Pair::new("EdDSA");
    let trusted = pair.trusted();
    let good = |name: &str, value: Value| trusted.verify(&pair.token(&with(name, value))).is_some();
    for (name, value) in [
        ("aud", json!(["x", "registry.example"])),
        ("sub", Value::Null),
        ("nbf", Value::Null),
        ("access", Value::Null),
        ("exp", json!(now() - 30)),
        ("exp", json!(now() as f64 + 0.5)),
        ("nbf", json!(now() + 30)),
    ] {
        assert!(good(name, value.clone()), "{name} {value}");
    }
    for (name, value) in [
        ("iss", Value::Null),
        ("iss", json!("other.example")),
        ("aud", Value::Null),
        ("aud", json!("other.example")),
        ("aud", json!(["other.example"])),
        ("aud", json!([])),
        ("exp", Value::Null),
        ("exp", json!(now() - 90)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now() + 90)),
        ("access", json!("everything")),
        ("access", json!([{"type": "repository"}])),
    ] {
        assert!(!good(name, value.clone()), "{name} {value}");
    }
    let all = json!([{"type": "repository", "name": "a", "actions": ["*"]}]);
    let said = trusted.verify(&pair.token(&with("access", all))).unwrap();
    assert!(said.grants[0].allows("a", super::super::Action::Delete));
}

#[test]
fn what_is_no_token_is_none() {
    let pair = Pair::new("EdDSA");
    let trusted = pair.trusted();
    let token = pair.token(&claims());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character of base64 may have bits that say nothing, which is refused too.
        assert_eq!(trusted.verify(&changed), None, "{at}");
    }
    for changed in [
        String::new(),
        "..".to_owned(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        token.replace('.', " ."),
        token.rsplit_once('.').unwrap().0.to_owned(),
        pair.token_with(&json!([]), &claims()),
        pair.token_with(&json!({"alg": 5}), &claims()),
        pair.token(&json!("claims")),
        pair.token(&with("sub", json!("x".repeat(MAX_TOKEN)))),
    ] {
        assert_eq!(trusted.verify(&changed), None, "{changed:.100}");
    }
}

#[test]
fn what_holds_no_keys_is_refused() {
    let pair = Pair::new("ES256");
    let refused = |text: &str| {
        fs::write(pair.file("keys"), text).unwrap();
        trust(&pair.file("keys"))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    for (text, part) in [
        ("", "no public key"),
        ("nonsense", "no public key"),
        ("{", "not a set of JSON web keys"),
        ("{\"keys\": []}", "no public key"),
        (
            "{\"keys\": [{\"kty\": \"oct\", \"k\": \"eA\"}]}",
            "a secret",
        ),
        (
            "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"eA\", \"d\": \"eA\"}]}",
            "a secret",
        ),
        (
            "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"eA\", \"y\": \"eA\"}]}",
            "no public key",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(part), "{text}: {error}");
    }
    let secret = fs::read_to_string(pair.file("secret.pem")).unwrap();
    assert!(refused(&secret).contains("no public key"));
    let many = json!({"keys": vec![pair.jwk("x"); 65]}).to_string();
    assert!(refused(&many).contains("more than 64"));
    assert!(trust(Path::new("/nosuch")).is_err());
}

#[test]
fn keys_that_change_are_read_again() {
    let (old, new) = (Pair::new("EdDSA"), Pair::new("EdDSA"));
    let trusted = old.trusted();
    let token = new.token(&claims());
    assert_eq!(trusted.verify(&token), None);
    let path = old.file("public.pem");
    fs::copy(new.file("public.pem"), &path).unwrap();
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::open(&path).unwrap().set_modified(moment).unwrap();
    let start = Instant::now();
    while trusted.verify(&token).is_none() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "they are not read"
        );
        std::thread::yield_now();
    }
    assert_eq!(trusted.verify(&old.token(&claims())), None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[A-Za-z0-9_.=-]{0,80}") {
        prop_assert!(opened(&text, &[]).is_none());
    }
}
