use watershed_compile::{Digest, digest};
use watershed_crd::document::TrafficPolicyDocument;

fn document(yaml: &str) -> TrafficPolicyDocument {
    serde_yaml::from_str(yaml).unwrap()
}

const ONE: &str = "{recordTypes: [A], startEndpoint: a, endpoints: {a: {addresses: [192.0.2.1]}}}";

#[test]
fn it_is_that_of_the_canonical_json() {
    // printf '%s' '{"endpoints":{"a":{"addresses":["192.0.2.1"]}},"recordTypes":["A"],"startEndpoint":"a"}' | sha256sum
    let expected = "sha256:a50671aa24913a2c7c8b1f8b7e449687a6366d45381f957887a85138536ab746";
    assert_eq!(digest(&document(ONE)).to_string(), expected);
    assert_eq!(expected.parse(), Ok(digest(&document(ONE))));
}

#[test]
fn order_of_keys_does_not_count_and_content_does() {
    let reordered =
        "{endpoints: {a: {addresses: [192.0.2.1]}}, startEndpoint: a, recordTypes: [A]}";
    assert_eq!(digest(&document(ONE)), digest(&document(reordered)));
    let commented = ONE.replace("{addresses", "{comment: new, addresses");
    assert_ne!(digest(&document(ONE)), digest(&document(&commented)));
}

#[test]
fn only_the_text_form_is_read() {
    let sixty_four = "0".repeat(64);
    assert!(format!("sha256:{sixty_four}").parse::<Digest>().is_ok());
    for wrong in [
        sixty_four.clone(),
        format!("sha256:{}", "A".repeat(64)),
        "sha256:00".to_owned(),
        format!("sha512:{sixty_four}"),
    ] {
        assert_eq!(wrong.parse::<Digest>(), Err(()), "{wrong}");
    }
}
