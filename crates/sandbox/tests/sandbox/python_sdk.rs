//! Meta's official Python SDK, unmodified, against the sandbox.

use std::process::Command;

use rastro_sandbox::{Encoding, EventFilter, Sandbox, SandboxConfig};
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/facebook_business.py");

/// Hashes of what the script sends, computed apart from the SDK: `printf john_smith@gmail.com | sha256sum`.
/// Several of them are printed in Meta's documentation.
fn published() -> [(&'static str, Value); 2] {
    [
        (
            "sdk-1",
            json!({
                "em": ["62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"], // john_smith@gmail.com
                "ph": ["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"], // 16505551212
                "fn": ["6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"], // mary
                "ln": ["2dbd218072117713f2d5996a726a9b216ed791ffd0783b6ba4ab6d61b8333192"], // müller
                "ge": ["252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"], // f
                "db": ["01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"], // 19970216
                "ct": ["350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5"], // newyork
                "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"], // ca
                "zp": ["1794327a4d443904421f5ca1f3d72d0a62ba2f0770d80755ec2220fc0efb052e"], // 94035
                "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"], // us
            }),
        ),
        (
            "sdk-2",
            json!({
                "em": ["8e28b325d079868b9181245e4d38fe2b59f2caff7fe43f8e7019dc8cc3bf40ed"], // joao.silva@uol.com.br
                "ph": ["eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704"], // 5511912345678
                "fn": ["d147147c3dcbe0ac2756b42297dd7f013f8b2fa6178e209c3f74dc7d752243ef"], // joão
                "ln": ["aa227102842b80e6a0fa23c1cea0e7ff47d192350b4f2e9018b2f5bc6e3ba5d7"], // 李明
                "ct": ["3eda1428ae1aece064071f8d40f08fe2bc59ffa66c171a163caf15122ec4d7f0"], // sãopaulo
                "st": ["be18b85f77fc024db379acf19e8a1ce62307ab7bb1bca395389ecfc2dafaf741"], // sp
                "zp": ["3be39fae908c08dec9f0ac3c71ffd51319324f6b6608651f6a491cd12719fd35"], // 30130
                "country": ["885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d"], // br
            }),
        ),
    ]
}

#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreter has the SDK"
)]
fn interpreter() -> String {
    std::env::var("RASTRO_TEST_PYTHON")
        .expect("RASTRO_TEST_PYTHON must name a Python that has facebook-business: run through `make test`")
}

#[tokio::test]
async fn the_official_python_sdk_works_against_the_sandbox() {
    let sandbox = Sandbox::start(SandboxConfig::default().with_token("111", "TOK"))
        .await
        .unwrap();
    let mut script = Command::new(interpreter());
    script
        // Isolated, because the script is named like the package it imports.
        .args(["-I", SCRIPT, &sandbox.url(), "111", "TOK"])
        .env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || script.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(
        (&seen["events_received"], &seen["messages"]),
        (&json!(2), &json!([]))
    );
    let [refused, accepted] = &sandbox.requests()[..] else {
        panic!("the script makes two requests")
    };
    assert_eq!(seen["fbtrace_id"], accepted.fbtrace_id);
    let refusal = json!({ "status": 400, "code": 100, "subcode": 2_804_003, "type": "OAuthException" });
    assert_eq!(seen["refusal"], refusal);
    assert_eq!((refused.code, refused.subcode), (Some(100), Some(2_804_003)));

    for (index, (event_id, hashes)) in published().into_iter().enumerate() {
        let stored = sandbox.events(&EventFilter {
            event_id: Some(event_id.to_owned()),
            ..EventFilter::default()
        });
        let [event] = &stored[..] else {
            panic!("{event_id} arrives once")
        };
        assert_eq!(
            (event.encoding, event.test_event_code.as_deref()),
            (Encoding::Form, Some("TEST1"))
        );
        let user_data = event.json()["user_data"].clone();
        for (key, hash) in hashes.as_object().unwrap() {
            assert_eq!(&user_data[key], hash, "{event_id} {key}");
        }
        assert_eq!(seen["hashes"][index], hashes, "{event_id}");
    }
    assert_eq!(sandbox.counts().received, 2);
}
