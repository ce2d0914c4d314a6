//! Names of events. They are case-sensitive: `purchase` is an event of the business's own, which skips the
//! rules of a Purchase and optimises nothing.
//!
//! Source: Meta, "Standard events" and "Conversions API for business messaging".

/// Meta's standard events.
pub const STANDARD: [&str; 18] = [
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Donate",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "PageView",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "Subscribe",
    "ViewContent",
];

/// The only names that Meta takes from business messaging (error subcode 2804066).
pub(super) const MESSAGING: [&str; 14] = [
    "Purchase",
    "LeadSubmitted",
    "InitiateCheckout",
    "AddToCart",
    "ViewContent",
    "OrderCreated",
    "OrderShipped",
    "OrderDelivered",
    "OrderCanceled",
    "OrderReturned",
    "CartAbandoned",
    "QualifiedLead",
    "RatingProvided",
    "ReviewProvided",
];

/// What Google Analytics calls the events that it names otherwise, in letters only.
const OF_ANALYTICS: [(&str, &str); 4] = [
    ("signup", "CompleteRegistration"),
    ("begincheckout", "InitiateCheckout"),
    ("generatelead", "Lead"),
    ("viewitem", "ViewContent"),
];

/// The event of Meta's that somebody probably meant: the same letters in another case or with separators, a
/// plural, one letter wrong in a long name, or Google's name for it. `None` for Meta's names themselves and
/// for all others.
pub(super) fn near_miss(name: &str) -> Option<&'static str> {
    let metas = || STANDARD.iter().chain(&MESSAGING).copied();
    if metas().any(|known| known == name) {
        return None;
    }
    let letters: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let of_analytics = OF_ANALYTICS.iter().find(|(googles, _)| *googles == letters);
    of_analytics
        .map(|(_, known)| *known)
        .or_else(|| metas().find(|known| is_near(&letters, &known.to_ascii_lowercase())))
}

fn is_near(letters: &str, known: &str) -> bool {
    /// In a shorter name one letter makes another word: Leap, Contract.
    const SHORTEST: usize = 8;
    letters.strip_suffix('s').unwrap_or(letters) == known.strip_suffix('s').unwrap_or(known)
        || known.len() >= SHORTEST && differ_by_a_letter(letters.as_bytes(), known.as_bytes())
}

/// Whether one letter is missing, too many or another one, or two stand in the wrong order.
fn differ_by_a_letter(one: &[u8], other: &[u8]) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let start = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short[start..], &long[start..]);
    match long.len() - short.len() {
        0 => match (short, long) {
            ([a, b, rest @ ..], [c, d, others @ ..]) => {
                [b, a] == [c, d] && rest == others || short[1..] == long[1..]
            }
            (short, _) => short.len() <= 1,
        },
        1 => short == &long[1..],
        _ => false,
    }
}
