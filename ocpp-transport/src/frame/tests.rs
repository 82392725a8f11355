use super::*;

/// What a text is answered with: the id and the code.
#[track_caller]
fn check_error(text: &str, expected: Option<(&str, RpcErrorCode)>) {
    let answer = parse(text, &Limits::default()).unwrap_err().answer();
    assert_eq!(answer.as_ref().map(|(id, code)| (id.as_str(), code.clone())), expected, "{text}");
}

#[track_caller]
fn check_round_trip(text: &str) {
    assert_eq!(parse(text, &Limits::default()).unwrap().encode(Version::V201), text);
}

#[test]
fn frames_survive_reading_and_writing() {
    check_round_trip(r#"[2,"19223201","BootNotification",{"reason":"PowerUp"}]"#);
    check_round_trip(r#"[3,"19223201",{"status":"Accepted","n":1.50}]"#);
    check_round_trip(r#"[4,"162376037","NotSupported","","{}"]"#.replace("\"{}\"", "{}").as_str());
    check_round_trip(r#"[4,"a\"b\u0001","GenericError","quoted \"é\"",{"a":[1]}]"#);
}

#[test]
fn the_payload_keeps_its_text() {
    let text = r#" [ 2 , "1" , "A" , { "x" : 1e0, "x":2 } ] "#;
    let Frame::Call { payload, .. } = parse(text, &Limits::default()).unwrap() else { panic!() };
    assert_eq!(payload.get(), r#"{ "x" : 1e0, "x":2 }"#);
}

#[test]
fn what_is_no_frame_is_answered_with_minus_1() {
    for text in [
        "",
        "not JSON",
        "{}",
        "2",
        "null",
        "[]",
        "[2",
        r#"[2,"1","A",{}] x"#,
        r#"["2","1","A",{}]"#,
        r#"[2.0,"1","A",{}]"#,
        r#"[-2,"1","A",{}]"#,
        "[2]",
        r#"[2,17,"A",{}]"#,
        r#"[2,"","A",{}]"#,
        r#"[2,"1234567890123456789012345678901234567","A",{}]"#,
        r#"[2,"\ud800","A",{}]"#,
    ] {
        check_error(text, Some(("-1", RpcErrorCode::RpcFrameworkError)));
    }
}

#[test]
fn a_call_with_a_readable_id_is_answered_with_it() {
    check_error(r#"[2,"x"]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A"]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A",{},{}]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A",{},1,2,3,4,5,6,7,8]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x",1,{}]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A",[]]"#, Some(("x", RpcErrorCode::FormatViolation)));
    check_error(r#"[2,"x","A",null]"#, Some(("x", RpcErrorCode::FormatViolation)));
}

#[test]
fn an_unknown_message_type_is_not_supported() {
    check_error(r#"[5,"x","A","",{}]"#, Some(("x", RpcErrorCode::MessageTypeNotSupported)));
    check_error(r#"[6,"x","A",{}]"#, Some(("x", RpcErrorCode::MessageTypeNotSupported)));
    check_error("[9]", Some(("-1", RpcErrorCode::MessageTypeNotSupported)));
}

#[test]
fn a_broken_answer_is_never_answered() {
    for text in [r#"[3,"x"]"#, r#"[3,"x",{},{}]"#, "[3,1,{}]", "[4]", r#"[4,"x"]"#, r#"[4,"x",7,"",{}]"#] {
        check_error(text, None);
    }
}

#[test]
fn a_call_error_without_description_or_details_is_read() {
    for text in [r#"[4,"x","GenericError"]"#, r#"[4,"x","GenericError",null,[]]"#] {
        let Ok(Frame::CallError { description, details, .. }) = parse(text, &Limits::default()) else {
            panic!("{text}")
        };
        assert_eq!((description.as_str(), details.get()), ("", "{}"));
    }
}

#[test]
fn the_size_is_bounded_before_parsing() {
    let text = format!(r#"[2,"1","A",{{"x":"{}"}}]"#, "x".repeat(1000));
    let limits = Limits::default().with_max_bytes(text.len());
    assert!(parse(&text, &limits).is_ok());
    let limits = limits.with_max_bytes(text.len() - 1);
    assert!(matches!(parse(&text, &limits), Err(FrameError::TooLarge { .. })));
}

#[test]
fn the_depth_is_bounded() {
    let nested =
        |levels: usize| format!(r#"[2,"1","A",{{"[[\"[[":{}{}}}]"#, "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&nested(30), &Limits::default()).is_ok());
    assert_eq!(parse(&nested(31), &Limits::default()).unwrap_err(), FrameError::TooDeep { max: 32 });
    assert_eq!(parse(&nested(60_000), &Limits::default()).unwrap_err(), FrameError::TooDeep { max: 32 });
}

#[test]
fn a_description_is_cut_to_255_characters() {
    let text = encode_call_error(
        Version::V201,
        &MessageId::unreadable(),
        &RpcErrorCode::GenericError,
        &"é".repeat(300),
        &no_details(),
    );
    assert_eq!(text, format!(r#"[4,"-1","GenericError","{}",{{}}]"#, "é".repeat(255)));
}

#[test]
fn a_longer_description_is_cut_when_it_comes_in() {
    let text = format!(r#"[4,"x","GenericError","{}",{{}}]"#, "é".repeat(300));
    let Ok(Frame::CallError { description, .. }) = parse(&text, &Limits::default()) else { panic!() };
    assert_eq!(description, "é".repeat(255));
}
