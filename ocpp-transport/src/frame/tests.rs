use super::*;

const V16: Version = Version::V16;
const V201: Version = Version::V201;
const V21: Version = Version::V21;

/// The answer to a text in 2.0.1: the id and the code of a CALLERROR.
#[track_caller]
fn check_error(text: &str, expected: Option<(&str, RpcErrorCode)>) {
    let answer = parse(text, V201, &Limits::default()).unwrap_err().answer(V201);
    let answer = answer.inspect(|answer| assert_eq!(answer.kind, MessageKind::CallError));
    assert_eq!(answer.as_ref().map(|answer| (answer.id.as_str(), answer.code.clone())), expected, "{text}");
    // The quick reader leaves the payload to its decoder, and the version to the session.
    let read = head(text).filter(|head| head.kind.is_in(V201));
    assert!(read.is_none_or(|head| serde_json::from_str::<&RawValue>(head.payload).is_err()), "{text}");
}

/// Reading and writing give the same text, and the quick reader agrees if it returns anything.
#[track_caller]
fn check_round_trip(text: &str, version: Version) {
    let frame = parse(text, version, &Limits::default()).unwrap();
    assert_eq!(frame.encode(version), text);
    if let Some(head) = head(text) {
        assert_eq!(request_of(&frame), Some((head.id, head.action, head.payload)));
    }
}

fn request_of<'a>(frame: &'a Frame<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    match frame {
        Frame::Call { id, action, payload } | Frame::Send { id, action, payload } => {
            Some((id.as_str(), action.as_ref(), payload.get()))
        }
        Frame::CallResult { id, payload } => Some((id.as_str(), "", payload.get())),
        _ => None,
    }
}

#[test]
fn frames_survive_reading_and_writing() {
    for version in [V16, V201, V21] {
        check_round_trip(r#"[2,"19223201","BootNotification",{"reason":"PowerUp"}]"#, version);
        check_round_trip(r#"[3,"19223201",{"status":"Accepted","n":1.50}]"#, version);
        check_round_trip(r#"[3,"19223201",null]"#, version);
        check_round_trip(r#"[4,"162376037","NotSupported","",{}]"#, version);
        check_round_trip(r#"[4,"a\"b","GenericError","quoted \"é\"",{"a":[1]}]"#, version);
    }
    check_round_trip(r#"[5,"19223201","FormatViolation","",{}]"#, V21);
    check_round_trip(r#"[6,"19223201","NotifyPeriodicEventStream",{"id":1}]"#, V21);
}

#[test]
fn the_payload_keeps_its_text() {
    let text = r#" [ 2 , "1" , "A" , { "x" : 1e0, "x":2 } ] "#;
    let Frame::Call { payload, .. } = parse(text, V201, &Limits::default()).unwrap() else { panic!() };
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
        r#"[2,"1"#,
        r#"[2,"1""#,
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
    // Not JSON as a whole, but the id can be read.
    check_error(r#"[2,"x","A",{}] x"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A",{"a":]}]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
    check_error(r#"[2,"x","A",{},{}}]"#, Some(("x", RpcErrorCode::RpcFrameworkError)));
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
        let Ok(Frame::CallError(Refused { description, details, .. })) =
            parse(text, V201, &Limits::default())
        else {
            panic!("{text}")
        };
        assert_eq!((description.as_str(), details.is_none()), ("", true));
    }
}

#[test]
fn the_size_is_bounded_before_parsing() {
    let text = format!(r#"[2,"1","A",{{"x":"{}"}}]"#, "x".repeat(1000));
    let limits = Limits::default().with_max_bytes(text.len());
    assert!(parse(&text, V201, &limits).is_ok());
    let limits = limits.with_max_bytes(text.len() - 1);
    assert!(matches!(parse(&text, V201, &limits), Err(FrameError { fault: Fault::TooLarge { .. }, .. })));
}

#[test]
fn the_depth_is_bounded() {
    let nested =
        |levels: usize| format!(r#"[2,"1","A",{{"[[\"[[":{}{}}}]"#, "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&nested(98), V201, &Limits::default()).is_ok());
    assert_eq!(parse(&nested(99), V201, &Limits::default()).unwrap_err().fault, Fault::TooDeep { max: 100 });
    assert_eq!(
        parse(&nested(60_000), V201, &Limits::default()).unwrap_err().fault,
        Fault::TooDeep { max: 100 }
    );
}

#[test]
fn a_description_is_cut_to_255_characters() {
    let id = MessageId::unreadable();
    let text = call_error(V201, &id, &RpcErrorCode::GenericError, &"é".repeat(300), None);
    assert_eq!(text, format!(r#"[4,"-1","GenericError","{}",{{}}]"#, "é".repeat(255)));
}

#[test]
fn a_longer_description_is_cut_when_it_comes_in() {
    let text = format!(r#"[4,"x","GenericError","{}",{{}}]"#, "é".repeat(300));
    let Ok(Frame::CallError(Refused { description, .. })) = parse(&text, V201, &Limits::default()) else {
        panic!()
    };
    assert_eq!(description, "é".repeat(255));
}

#[test]
fn the_quick_reader_reads_what_peers_send() {
    for text in [
        r#"[2,"19223201","Heartbeat",{}]"#,
        r#"[2, "19223201", "Heartbeat", {"a": "}]"}]"#,
        " [ 6 ,\t\"x\" ,\n\"A\" , { } ] ",
        r#"[3,"x",{"a":[1,2]}]"#,
    ] {
        let head = head(text).unwrap();
        let frame = parse(text, V21, &Limits::default()).unwrap();
        assert_eq!(request_of(&frame), Some((head.id, head.action, head.payload)));
    }
    for text in [r#"[2,"x\u0041","A",{}]"#, r#"[3,"x",null]"#, r#"[4,"x","A","",{}]"#, r#"[2,"x","A",{}"#] {
        assert_eq!(head(text), None, "{text}");
    }
}
