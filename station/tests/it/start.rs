//! Mistakes of an operator before the first connection.

use std::fs;

use crate::stage::Stage;

#[test]
fn wrong_pin_missing_token_and_missing_module_say_what_to_do() {
    let stage = Stage::prepare();
    stage.configure(1);
    let run = |token: &str, module: Option<&str>| {
        stage.configure_with("station.toml", 1, token);
        let mut command = stage.command(&["run"]);
        if let Some(module) = module {
            command.env("PKCS11_MODULE", module);
        }
        let output = command.output().expect("starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    fs::write(stage.path("wrong-pin"), "not-the-pin").expect("writes");
    let good = stage.token_uri();
    let error = run(&good.replace("file:pin", "file:wrong-pin"), None);
    assert!(error.contains("PIN") && !error.contains("not-the-pin"), "{error}");
    let error = run("pkcs11:token=no-such-token?pin-source=file:pin", None);
    assert!(error.contains("no token matches"), "{error}");
    let error = run(&good, Some("/nonexistent/module.so"));
    assert!(error.contains("/nonexistent/module.so") && error.contains("install"), "{error}");
}
