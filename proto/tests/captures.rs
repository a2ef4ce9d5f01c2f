//! Messages as they were on the wire: today's code reads them, and writes the same bytes.

use bytes::Bytes;
use dray_proto::v1::{
    Ack, Block, BlockHeader, Codec, FlowState, FromAgent, Held, Hello, Refusal, RefusalCause,
    ToAgent, Welcome, from_agent, to_agent,
};
use prost::Message;

/// A capture may never be changed: agents in the field send it.
fn check<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, capture: &str) {
    assert_eq!(hex::encode(message.encode_to_vec()), capture);
    let bytes = hex::decode(capture).expect("hex");
    assert_eq!(&M::decode(bytes.as_slice()).expect("it decodes"), message);
}

fn from_agent(message: from_agent::Message) -> FromAgent {
    FromAgent {
        message: Some(message),
    }
}

fn to_agent(message: to_agent::Message) -> ToAgent {
    ToAgent {
        message: Some(message),
    }
}

#[test]
fn a_hello_is_the_captured_one() {
    let flow = FlowState {
        flow: "shipments".into(),
        next_sequence: 20_001,
        oldest_sequence: 3_938,
        oldest_chain: 0x0123_4567_89ab_cdef,
        // Fields that came later, empty: as an older agent sends it.
        ..FlowState::default()
    };
    let hello = Hello {
        protocol: 1,
        version: "0.1.0".into(),
        epoch: 0xfeed_beef_0000_0007,
        flows: vec![flow],
    };
    check(
        &from_agent(from_agent::Message::Hello(hello)),
        "0a2f08011205302e312e301907000000efbeedfe221b0a09736869706d656e747310a19c0118e21e21efcdab89674523\
         01",
    );
}

#[test]
fn a_block_is_the_captured_one() {
    let header = BlockHeader {
        flow: "shipments".into(),
        epoch: 0xfeed_beef_0000_0007,
        first_sequence: 3_938,
        count: 2,
        first_captured_us: 1_795_000_000_000_000,
        last_captured_us: 1_795_000_000_000_250,
        codec: Codec::Plain.into(),
        decoded_bytes: 10,
        crc32c: 0x1122_3344,
        position: Bytes::from_static(b"0042.txt:1480"),
        chain: 0x0123_4567_89ab_cdef,
        chain_after: 0x0fed_cba9_8765_4321,
        dead_letters: 1,
    };
    let block = Block {
        header: Some(header),
        payload: Bytes::from_static(b"\x0a\x03one\x0a\x03two"),
    };
    check(
        &from_agent(from_agent::Message::Block(block)),
        "12650a570a09736869706d656e74731107000000efbeedfe18e21e20022880e0fc8ab091980330fae1fc8ab091980338\
         01400a4d44332211520d303034322e7478743a3134383059efcdab89674523016121436587a9cbed0f6801120a0a036f\
         6e650a0374776f",
    );
}

#[test]
fn a_welcome_is_the_captured_one() {
    let held = Held {
        flow: "shipments".into(),
        epoch: 0xfeed_beef_0000_0007,
        next_sequence: 3_938,
        chain: 0x0123_4567_89ab_cdef,
        position: Bytes::from_static(b"0042.txt:1184"),
        knows_epoch: true,
        ..Held::default()
    };
    let welcome = Welcome {
        protocol: 1,
        version: "0.1.0".into(),
        incarnation: 0x00c0_ffee_0000_0001,
        flows: vec![held],
    };
    check(
        &to_agent(to_agent::Message::Welcome(welcome)),
        "0a4508011205302e312e301901000000eeffc00022310a09736869706d656e74731107000000efbeedfe18e21e21efcd\
         ab89674523012a0d303034322e7478743a313138343001",
    );
}

#[test]
fn an_ack_is_the_captured_one() {
    let ack = Ack {
        flow: "shipments".into(),
        epoch: 0xfeed_beef_0000_0007,
        through: 3_939,
    };
    check(
        &to_agent(to_agent::Message::Ack(ack)),
        "12170a09736869706d656e74731107000000efbeedfe18e31e",
    );
}

#[test]
fn a_refusal_is_the_captured_one() {
    let refusal = Refusal {
        flow: "shipments".into(),
        cause: RefusalCause::Store.into(),
        reason: "the disk is full".into(),
    };
    check(
        &to_agent(to_agent::Message::Refusal(refusal)),
        "1a1f0a09736869706d656e747310051a10746865206469736b2069732066756c6c",
    );
}
