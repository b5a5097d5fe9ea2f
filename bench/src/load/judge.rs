//! Queries with what must be answered, and the verdict on a reply.

/// A query, and the replies that are right.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The DNS message; its first two octets are replaced by an id.
    pub message: &'a [u8],
    rcode: u8,
    /// IPv4 addresses, one of which must be the first answer.
    addresses: &'a [[u8; 4]],
}

/// What a reply is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right; of several addresses, the one of this index.
    Right(usize),
    /// Another response code, another question, or no such address.
    Wrong,
}

const HEADER: usize = 12;
const NOERROR: u8 = 0;
/// A record of type A and class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// Reads a file of queries. Each is the length of the message (two octets,
/// most significant first), the message, the response code, how many
/// addresses are right, and these. `None` when the file is cut short.
pub fn queries(mut file: &[u8]) -> Option<Vec<Query<'_>>> {
    let mut queries = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (&[rcode, count], rest) = rest.split_first_chunk::<2>()?;
        let (addresses, rest) = rest.split_at_checked(usize::from(count) * 4)?;
        queries.push(Query {
            message,
            rcode,
            addresses: addresses.as_chunks().0,
        });
        file = rest;
    }
    Some(queries)
}

impl Query<'_> {
    /// Compares a reply with what must be answered. The id is the caller's.
    pub fn judge(&self, reply: &[u8]) -> Verdict {
        self.right(reply).map_or(Verdict::Wrong, Verdict::Right)
    }

    fn right(&self, reply: &[u8]) -> Option<usize> {
        let end = answer_start(self.message)?;
        let header = reply.get(..HEADER)?;
        let is_complete_response = header[2] & 0x82 == 0x80;
        let same_question = reply.get(HEADER..end)? == &self.message[HEADER..end];
        if !is_complete_response || !same_question || header[3] & 0x0f != self.rcode {
            return None;
        }
        let answers = u16::from_be_bytes([header[6], header[7]]);
        if self.rcode != NOERROR {
            return (answers == 0).then_some(0);
        }
        if answers == 0 {
            return None;
        }
        let record = reply.get(name_end(reply, end)?..)?;
        let address = record.get(10..14)?;
        let is_address = record[..4] == A_IN && record[8..10] == [0, 4];
        let index = self.addresses.iter().position(|right| right == address)?;
        is_address.then_some(index)
    }
}

/// Where the first record begins, after one question.
pub fn answer_start(message: &[u8]) -> Option<usize> {
    let end = name_end(message, HEADER)? + 4;
    (end <= message.len()).then_some(end)
}

/// Just past the name at `at`, which a pointer may end.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            label @ 1..=63 => at += usize::from(label) + 1,
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    const REPLY: &[u8] =
        b"\0\0\x84\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x02";

    fn file(rcode: u8, addresses: &[[u8; 4]]) -> Vec<u8> {
        let mut file = vec![0, 19];
        file.extend(QUERY);
        file.extend([rcode, u8::try_from(addresses.len()).unwrap()]);
        file.extend(addresses.as_flattened());
        file
    }

    #[test]
    fn a_reply_is_right_when_its_first_address_is() {
        let file = file(0, &[[192, 0, 2, 1], [192, 0, 2, 2]]);
        let query = queries(&file).unwrap()[0];
        assert_eq!(query.judge(REPLY), Verdict::Right(1));
    }

    #[test]
    fn every_difference_that_matters_is_wrong() {
        let file = file(0, &[[192, 0, 2, 2]]);
        let query = queries(&file).unwrap()[0];
        // QR and TC, response code, answer count, question, type, length and
        // address of the record.
        for at in [2, 3, 7, 13, 22, 30, 34] {
            let mut reply = REPLY.to_vec();
            reply[at] ^= if at == 2 { 0x80 } else { 1 };
            assert_eq!(query.judge(&reply), Verdict::Wrong, "octet {at}");
        }
        for length in 0..REPLY.len() {
            assert_eq!(query.judge(&REPLY[..length]), Verdict::Wrong, "{length}");
        }
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_answer() {
        let file = file(3, &[]);
        let query = queries(&file).unwrap()[0];
        assert_eq!(query.judge(REPLY), Verdict::Wrong);
        let mut reply = REPLY[..19].to_vec();
        reply[3] = 3;
        reply[7] = 0;
        assert_eq!(query.judge(&reply), Verdict::Right(0));
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let file = file(0, &[[192, 0, 2, 2]]);
        for length in 3..file.len() {
            assert!(queries(&file[..length]).is_none(), "{length}");
        }
    }
}
