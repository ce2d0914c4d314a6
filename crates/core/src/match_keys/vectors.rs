//! The 102 test vectors of the normalisation rules, with hashes computed by other programs (Python's hashlib,
//! Meta's libraries; rows 1, 4, 9, 19, 22, 23, 24, 41 and 71 stand in Meta's own documentation), and what
//! else can be sent.

use serde::Serializer;
use serde::ser::SerializeMap;

use super::MatchKey::{self, *};
use super::{CountryCode, DroppedValue, HashedKeys, Reading, sha256_hex};

/// Number, key, raw value, country if known, and the hash of the best form, or `None` where the value is
/// dropped.
#[rustfmt::skip]
const VECTORS: [(u32, MatchKey, &str, &str, Option<&str>); 102] = [
    (1, Email, " John_Smith@gmail.com ", "", Some("62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f")),
    (2, Email, "JOE@EXAMPLE.COM", "", Some("2481f36dfc515ca76451aaadf1399026942a01ee50c6d0a61988b43cef039bc2")),
    (3, Email, "foo+tag@Bar.co.uk", "", Some("7df9a4165ea104863f2adbac2fd5c35a52d38c46ac9acaeae945bd7810f55c84")),
    (4, Email, "mary@example.com", "", Some("f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79")),
    (5, Email, "a@b", "", None),
    (6, Email, "not-an-email", "", None),
    (7, Email, "john smith@x.com", "", None),
    (8, Phone, "(650)555-1212", "", Some("5eed6d50c9a69704a9a72b4af7d14d04d33e4460039e101b525f5d4f8a106a38")),
    (9, Phone, "+1 (650) 555-1212", "", Some("e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176")),
    (10, Phone, "1(650)123-4567", "", Some("1f41a6876308cc581e7c096db4b342524d51f06f1df35537e30859e3956b5e89")),
    (11, Phone, "+1 (616) 954-78 88", "", Some("bb2fa2e6d2cea4746530c99686d0c7886ab2019875dca2d7e9e171c0e6ada00d")),
    (12, Phone, "+001 (616) 954-78 88", "", Some("bb2fa2e6d2cea4746530c99686d0c7886ab2019875dca2d7e9e171c0e6ada00d")),
    (13, Phone, "01(650)123-4567", "", Some("1f41a6876308cc581e7c096db4b342524d51f06f1df35537e30859e3956b5e89")),
    (14, Phone, "0044 20 7946 0958", "", Some("35e206e5dec4c89b9e8b71b8c32724a5bb518483ac5a20c6617d738375b3b823")),
    (15, Phone, "+44 20 7946 0958", "", Some("35e206e5dec4c89b9e8b71b8c32724a5bb518483ac5a20c6617d738375b3b823")),
    (16, Phone, "+49 30 12345678", "", Some("cae5f525a6c8d8cbfd28d7c654edf86f5e816f66919de0f842df68a2be24429b")),
    (17, Phone, "+55 11 91234-5678", "", Some("eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704")),
    (18, Phone, "+81-3-5843-2301", "", Some("6d858add461bba0e1968db83d4ac308854faba2ba41f9a3b096a37ec45ab9dcf")),
    (19, Phone, "15559876543", "", Some("1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e")),
    (20, Phone, "1.650.555.1212", "", Some("e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176")),
    (21, Phone, "12345", "", None),
    (22, FirstName, "Mary", "", Some("6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec")),
    (23, FirstName, " Valéry ", "", Some("08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c")),
    (24, FirstName, "정", "", Some("8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14")),
    (25, FirstName, "John Smith", "", Some("45358dd8587f2de278ec7411a560bae78720c13aaa369d0cd95b67715adb445c")),
    (26, FirstName, "Mary-Jane", "", Some("f08f448a5e7a9dc3619bb7c129f6a7d5fc6af002cea17ad71dfdc1c68f4d4e0e")),
    (27, FirstName, "José María", "", Some("a6a9049d39c4dd1cc332a44c64da6e6ce99e4ddbc1e9b6595e7f7bad60ef5ef6")),
    (28, FirstName, "Jose\u{301}", "", Some("d994e1d001886fe5b45b1267bd1fa2b752ac50742579bd3dad7b2a2aa0ed6866")),
    (29, LastName, "O'Connor", "", Some("7a0fbfdf40cbeb97429bdb88f512cecd27f0d44b7e57986ab578423bb61936ac")),
    (30, LastName, "Smith-Jones", "", Some("6a77f47e3dec33252edbebb457d65e90501b643806c50cf8d6c3e2bd9cb74681")),
    (31, LastName, "Van Der Berg, III", "", Some("fe62a720af97a0afeb9b4e98f957bbd9500e7be738af3d5d436e1b79b841ad44")),
    (32, LastName, "Müller", "", Some("2dbd218072117713f2d5996a726a9b216ed791ffd0783b6ba4ab6d61b8333192")),
    (33, LastName, "Øystein", "", Some("aa71e1dfcd637b4020e36d2f7b74df0d55e830a04a504e099a0116106f9dd898")),
    (34, LastName, "李明", "", Some("aa227102842b80e6a0fa23c1cea0e7ff47d192350b4f2e9018b2f5bc6e3ba5d7")),
    (35, Gender, "F", "", Some("252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111")),
    (36, Gender, "Female", "", Some("252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111")),
    (37, Gender, "male", "", Some("62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a")),
    (38, Gender, " M ", "", Some("62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a")),
    (39, Gender, "woman", "", Some("252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111")),
    (40, Gender, "other", "", None),
    (41, BirthDate, "19970216", "", Some("01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c")),
    (42, BirthDate, "2/16/1997", "", Some("01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c")),
    (43, BirthDate, "16/02/1997", "", Some("01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c")),
    (44, BirthDate, "1997-02-16", "", Some("01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c")),
    (45, BirthDate, "02-16-97", "", None),
    (46, BirthDate, "March 5, 1990", "", None),
    (47, BirthDate, "1990.12.31", "", Some("e34847671d257b92802553ecff8091c5e218044431fd84ce1ce573e530710c83")),
    (48, BirthDate, "1/2/2000", "", Some("2aafd9f6473d474b422c6cf0c4f037c8ff70ad57ff2005e357ee6ae41962827e")),
    (49, City, "New York", "", Some("350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5")),
    (50, City, "St. Louis", "", Some("8ba24bdf99947996f3000259be455de791b06fcc0e802ce05031030df1ee8ea3")),
    (51, City, "Winston-Salem", "", Some("9e54909cf7a66751ffbdfb4f79635e6d36de413d76f86c5ef42cb8b697662751")),
    (52, City, "San José", "", Some("fcc7b12e619d7e36782eeba767f24c4fe9dd54a931994e68c515be24bd046b59")),
    (53, City, "São Paulo", "", Some("3eda1428ae1aece064071f8d40f08fe2bc59ffa66c171a163caf15122ec4d7f0")),
    (54, City, "Coeur d'Alene", "", Some("09c3b43cc0c54eefe5271dbd88f25beabebd71c617bb93694aceb87f5fee2319")),
    (55, City, "Miami (Beach)", "", Some("833c4c1b029f45a8a1c12361148b1015d4874ff342db589943f6701cd8a01c16")),
    (56, City, "Menlo-Park  ", "", Some("0007a3d64c01e23d5075203c5977c14e4f7e01a3fc570686fcc50b5e1dd42685")),
    (57, State, "CA", "", Some("6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126")),
    (58, State, "California", "", Some("6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126")),
    (59, State, "New York", "", Some("1b06e2003f8420d6fa42badd8f77ec0f706b976b7a48b13c567dc5a559681683")),
    (60, State, "West Virginia", "", Some("078339967a4531c07e5369f15206af8dd66b4f6a322c068b40b0db3c74f9d5c6")),
    (61, State, "Ontario", "", Some("b8d31e852725afb1e26d53bab6095b2bff1749c9275be13ed1c05a56ed31ec09")),
    (62, State, "Bayern", "", Some("52b07f18c831ba4b08ba0b8bc84c6e023a825dfd385d20d8dcbf410d11c546e7")),
    (63, State, "N.S.W.", "", Some("d3ef3c33db1fb92a87bc9b67e495a01e181a1c47c22e3aa32158e4500eeab448")),
    (64, Zip, "94035", "", Some("1794327a4d443904421f5ca1f3d72d0a62ba2f0770d80755ec2220fc0efb052e")),
    (65, Zip, "94035-1234", "", Some("1794327a4d443904421f5ca1f3d72d0a62ba2f0770d80755ec2220fc0efb052e")),
    (66, Zip, " M1 1AE ", "", Some("1dc694c2070e697769fb959b50671d76cafd430d8ca191fbdd0affcaea344ac5")),
    (67, Zip, "SW1A 1AA", "", Some("830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614")),
    (68, Zip, "K1A 0B1", "", Some("3e8d74314dc02166b1ea8c7bd8c2357fb3f9898074395b8c57f8799848b4daa1")),
    (69, Zip, "01310-100", "", Some("cba5aecb8b3505d2221a198a401d3ecc88a02990b5d2863c50c4ded91a978fb5")),
    (70, Zip, "75018", "", Some("8dc3075ea745609c169d1c120d3fcd1c42673d16f18b423f4374e894d34a098a")),
    (71, Country, "US", "", Some("79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621")),
    (72, Country, "United States", "", Some("79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621")),
    (73, Country, "USA", "", Some("79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621")),
    (74, Country, "U.S.", "", Some("79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621")),
    (75, Country, "gb", "", Some("0b407281768f0e833afef47ed464b6571d01ca4d53c12ce5c51d1462f4ad6677")),
    (76, Country, "United Kingdom", "", Some("0b407281768f0e833afef47ed464b6571d01ca4d53c12ce5c51d1462f4ad6677")),
    (77, Country, "Germany", "", Some("959a45d44e6fcf58361ed004681556fe50129f2109e817dec098c00c9e5d2578")),
    (78, ExternalId, "12345", "", Some("5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5")),
    // The parameter builder would make it `user42`; ids keep every character here: `printf 'User 42' |
    // sha256sum`.
    (79, ExternalId, " User 42 ", "", Some("d4e6077439e51c52bfc67ad59a5107cc0b544b0c1b0a5f98103a5706a14f7fd1")),
    (80, FirstNameFive, "George", "", Some("d6e075ad15048c12f2974d121a25c3d9fc5898072c7a4236fe5245d342a41c7d")),
    (81, LastNameFive, "Washington", "", Some("9d2d55c43c373dd682cd3825b74f8de58c3ca0ba011471230d7a5eff939bd544")),
    (82, FirstInitial, "ABC", "", Some("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")),
    (83, BirthDay, "1", "", Some("938db8c9f82c8cb58d3f3ef4fd250036a48d26a712753d2fde5abd03a85cabf4")),
    (84, BirthMonth, "9", "", Some("3514acf61732f662da19625f7fe781c3e483f2dce8506012f3bb393f5003e105")),
    (85, BirthYear, "2000", "", Some("81a83544cf93c245178cbc1620030f1123f435af867c79d87135983c52ab39d9")),
    (86, Phone, "(11) 91234-5678", "br", Some("eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704")),
    (87, Phone, "+55 (11) 91234-5678", "", Some("eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704")),
    (88, Phone, "011 91234-5678", "br", Some("eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704")),
    (89, FirstName, "João", "", Some("d147147c3dcbe0ac2756b42297dd7f013f8b2fa6178e209c3f74dc7d752243ef")),
    (90, FirstName, "JOÃO PAULO", "", Some("3e24fd4cc66aa0d9a3a1db2a518e396083bab941b2535341088916a58d5a5eb1")),
    (91, LastName, "D'Ávila", "", Some("d02479935c41ea85efe078b88d2efc87541c0d02fef38b91e99ffa802da6e421")),
    (92, LastName, "da Conceição", "", Some("048fccf1ecdb6c711e76461731e511fb1ad302ed87d9ccc9228daeafa154c334")),
    (93, City, "Brasília", "", Some("6bd2c18f60f55824fef9f0b1f385ef35500ad6dfded2c8471d7ee7412bbea76b")),
    (94, City, "Belo Horizonte", "", Some("2964ae2dcba7011705a1cd01bf94b063d1cf5c3ff06eb26a850c4d08b1aebc4f")),
    (95, City, "São José dos Campos", "", Some("b4488c47b1bea0a5b348f1eb38a725b901533845683bd76632289b3d03fffdf5")),
    (96, State, "SP", "", Some("be18b85f77fc024db379acf19e8a1ce62307ab7bb1bca395389ecfc2dafaf741")),
    (97, State, "Minas Gerais", "", Some("e9949d904d436e1fd21b1ac234c1fad20b0939f0d6f4292f78625cebaf267ed8")),
    (98, Zip, "30130-010", "", Some("3be39fae908c08dec9f0ac3c71ffd51319324f6b6608651f6a491cd12719fd35")),
    (99, Zip, "30130010", "", Some("01ad03aa0dd1c07f2592cacc8d934697779b89146b122b66016ec82db8275129")),
    (100, Country, "BR", "", Some("885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d")),
    (101, Country, "Brasil", "", Some("885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d")),
    (102, Email, "JOAO.SILVA@UOL.COM.BR ", "", Some("8e28b325d079868b9181245e4d38fe2b59f2caff7fe43f8e7019dc8cc3bf40ed")),
];

const JOHN: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";
const MARY: &str = "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79";

fn reading(country: &str, variants: bool) -> Reading {
    Reading {
        country: CountryCode::parse(country),
        current_year: 2026,
        variants,
    }
}

/// What is sent of one value.
fn sent(key: MatchKey, raw: &str, reading: &Reading) -> Result<Vec<String>, DroppedValue> {
    let mut keys = HashedKeys::new();
    keys.add(key, raw, reading)?;
    Ok(keys.get(key).map(|hashed| hashed.as_str().to_owned()).collect())
}

fn json(keys: &HashedKeys) -> String {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let mut map = serializer.serialize_map(None).unwrap();
    keys.serialize_entries(&mut map).unwrap();
    map.end().unwrap();
    String::from_utf8(json).unwrap()
}

#[test]
fn every_test_vector_has_its_hash() {
    for (number, key, raw, country, expected) in VECTORS {
        let best = sent(key, raw, &reading(country, false)).ok();
        assert_eq!(
            best,
            expected.map(|hash| vec![hash.to_owned()]),
            "row {number}: {key:?} {raw:?}"
        );
        let forms = sent(key, raw, &reading(country, true)).ok();
        let first = forms.as_ref().map(|forms| forms[0].as_str());
        assert_eq!(
            first, expected,
            "row {number} with its other forms: {key:?} {raw:?}"
        );
        assert!(
            forms.is_none_or(|forms| forms.len() <= 4),
            "row {number}: {key:?} {raw:?}"
        );
    }
}

#[test]
fn the_other_plausible_forms_follow_the_best_one() {
    // Each with `printf <form> | sha256sum`.
    for (key, raw, country, forms) in [
        // joão, joao
        (
            FirstName,
            "João",
            "br",
            &[
                "d147147c3dcbe0ac2756b42297dd7f013f8b2fa6178e209c3f74dc7d752243ef",
                "ed2befb11499489e2570cb053f774b8ed93e89eddab3f78867a2a5f32c58845e",
            ] as &[&str],
        ),
        // dasilva, da silva
        (
            LastName,
            "da Silva",
            "br",
            &[
                "3d05da4b552607e09bdc258939666d6b32fedc74392e38ea504c83a06ab3ec44",
                "525357eb2fe3b95f8cf900b5a91e46ce33ff381be4c6ebf850adfc0e27dff4f5",
            ],
        ),
        // daconceição, da conceição, daconceicao
        (
            LastName,
            "da Conceição",
            "br",
            &[
                "048fccf1ecdb6c711e76461731e511fb1ad302ed87d9ccc9228daeafa154c334",
                "4a097ccbb6a4720c24b2e04844fb62b9b66f7aeee93b071236c5ce2c19eda5a8",
                "d9ac3b271894044a4e7f5b775ddb8d0fc98d2e0106947064b0a33ab9641fc26d",
            ],
        ),
        // brasília, brasilia
        (
            City,
            "Brasília",
            "br",
            &[
                "6bd2c18f60f55824fef9f0b1f385ef35500ad6dfded2c8471d7ee7412bbea76b",
                "3fc9b36d48613cd3e9a597bb72ab2330f3fd178a44e5e0850b51f573515a2297",
            ],
        ),
        // sãojosédoscampos, saojosedoscampos
        (
            City,
            "São José dos Campos",
            "",
            &[
                "b4488c47b1bea0a5b348f1eb38a725b901533845683bd76632289b3d03fffdf5",
                "1133d44ec72e742ebe34de223b99e0aa3d5064d42bcf3457d107d7f5ebae81e1",
            ],
        ),
        // 30130, 30130010
        (
            Zip,
            "30130-010",
            "br",
            &[
                "3be39fae908c08dec9f0ac3c71ffd51319324f6b6608651f6a491cd12719fd35",
                "01ad03aa0dd1c07f2592cacc8d934697779b89146b122b66016ec82db8275129",
            ],
        ),
        // mg alone: the code is what Meta documents
        (
            State,
            "Minas Gerais",
            "br",
            &["e9949d904d436e1fd21b1ac234c1fad20b0939f0d6f4292f78625cebaf267ed8"],
        ),
    ] {
        assert_eq!(sent(key, raw, &reading(country, true)).unwrap(), forms, "{raw}");
        assert_eq!(
            sent(key, raw, &reading(country, false)).unwrap(),
            forms[..1],
            "{raw}"
        );
    }
}

#[test]
fn values_that_are_hashes_already_pass_with_their_hex_in_lower_case() {
    let reading = reading("", true);
    for (raw, expected) in [
        (JOHN.to_uppercase(), JOHN.to_owned()),
        (format!(" {JOHN} "), JOHN.to_owned()),
        (
            "5D41402ABC4B2A76B9719D911017C592".to_owned(),
            "5d41402abc4b2a76b9719d911017c592".to_owned(),
        ),
        (format!("{JOHN}.AQYCAQAA"), format!("{JOHN}.AQYCAQAA")),
        (
            format!("{}.AQQCAQMC", JOHN.to_uppercase()),
            format!("{JOHN}.AQQCAQMC"),
        ),
        ("john_smith@gmail.com".to_owned(), JOHN.to_owned()),
    ] {
        assert_eq!(sent(Email, &raw, &reading).unwrap(), [expected], "{raw}");
    }
    for key in MatchKey::ALL {
        assert_eq!(sent(key, JOHN, &reading).unwrap(), [JOHN], "{key:?}");
    }
}

#[test]
fn an_id_that_looks_like_md5_is_an_ordinary_id() {
    // A UUID without its hyphens. `printf 0190163d8e3a7cc2b1f5a4c6d8e0f123 | sha256sum`
    let uuid = "0190163d8e3a7cc2b1f5a4c6d8e0f123";
    for key in [ExternalId, AppUserId] {
        assert_eq!(
            sent(key, uuid, &reading("", true)).unwrap(),
            ["bed69c22b8d2e7464d95e22cb7acee4337113e9a7a4acd42f07994e39d36254f"]
        );
    }
    assert_eq!(sent(FirstName, uuid, &reading("", true)).unwrap(), [uuid]);
}

#[test]
fn ids_keep_their_case_and_may_be_long() {
    // `printf aB-1 | sha256sum`, `printf 'x%.0s' {1..1000} | sha256sum`
    assert_eq!(
        sent(ExternalId, "\taB-1 ", &reading("", true)).unwrap(),
        ["69715188d04838fd44189670fdc954f5d384dd8f97c9caf26562582076034d93"]
    );
    assert_eq!(
        sent(AppUserId, &"x".repeat(1000), &reading("", true)).unwrap(),
        ["44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f"]
    );
}

#[test]
fn a_placeholder_is_nobodys_and_what_was_lost_on_the_way_is_not_hashed() {
    for key in MatchKey::ALL {
        for raw in [
            "null",
            "NULL",
            "undefined",
            "None",
            " n/a ",
            "nan",
            "(not set)",
            "[object Object]",
            "{{email}}",
            "#N/A",
        ] {
            let sent = sent(key, raw, &reading("br", true));
            assert_eq!(sent, Err(DroppedValue::Placeholder), "{key:?} {raw:?}");
        }
        let sent = sent(key, "Jo\u{fffd}o", &reading("br", true));
        assert_eq!(sent, Err(DroppedValue::Garbled), "{key:?}");
    }
    assert!(sent(FirstName, "Nan", &reading("br", true)).is_ok());
}

#[test]
fn invisible_characters_are_no_part_of_a_value() {
    for (key, raw, plain) in [
        (FirstName, "\u{200f}Ana", "Ana"),
        (LastName, "\u{2068}da Conceição\u{2069}", "da Conceição"),
        (City, "São\u{ad}Paulo", "SãoPaulo"),
        (Email, "ana\u{200b}@example.com", "ana@example.com"),
        (Zip, "01310\u{2060}-100", "01310-100"),
        (Country, "B\u{200d}rasil", "Brasil"),
        (Gender, "\u{202a}F\u{202c}", "F"),
    ] {
        let reading = reading("br", true);
        assert_eq!(
            sent(key, raw, &reading).unwrap(),
            sent(key, plain, &reading).unwrap(),
            "{raw:?}"
        );
    }
}

#[test]
fn words_and_hashes_of_nothing_are_empty() {
    // `printf '' | sha256sum` and so on for null, undefined, none, n/a, nan and `[object object]`; then
    // `printf '' | md5sum`.
    for raw in [
        "",
        "   ",
        "\u{feff}",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.AQQAAQMC",
        "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
        "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c",
        "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe",
        "a683c5c5349f6f7fb903ba8a9e7e55d0ba1b8f03579f95be83f4954c33e81098",
        "9b2d5b4678781e53038e91ea5324530a03f27dc1d0e5f6c9bc9d493a23be9de0",
        "c9a560c74de368dcd2e6ac5544ad12a9afd32584b71a52147303479f726e0408",
        "d41d8cd98f00b204e9800998ecf8427e",
    ] {
        for key in MatchKey::ALL {
            let is_id = matches!(key, ExternalId | AppUserId);
            if !(is_id && raw.len() == 32) {
                assert_eq!(
                    sent(key, raw, &reading("br", true)),
                    Err(DroppedValue::Empty),
                    "{key:?} {raw:?}"
                );
            }
        }
    }
}

#[test]
fn a_dropped_value_leaves_the_keys_as_they_were_and_its_reason_does_not_repeat_it() {
    let mut keys = HashedKeys::new();
    for (key, raw, reason) in [
        (Email, "secret.word", "it is not an e-mail address"),
        (Phone, "555-1212 x", "it is a phone number without its area code"),
        (
            Phone,
            "1",
            "it does not have the 7 to 15 digits of a phone number",
        ),
        (FirstName, "?", "it has neither letters nor digits"),
        (City, "42", "it has neither letters nor digits"),
        (Gender, "secret", "it names neither of the genders Meta knows"),
        (
            BirthDate,
            "31/02/1990",
            "it is not a date of birth with a four-digit year",
        ),
        (
            BirthDay,
            "32",
            "it is not a day (1 to 31), month (1 to 12) or four-digit year of birth",
        ),
        (Zip, "1", "it is too short for a postcode"),
        (Country, "Atlantis", "it is not the name or the code of a country"),
        (LastName, " ", "it is empty"),
        (LastName, &"x".repeat(257), "it is longer than 256 bytes"),
    ] {
        let dropped = keys.add(key, raw, &reading("br", true)).unwrap_err();
        assert_eq!(dropped.to_string(), reason);
    }
    assert!(keys.is_empty());
    assert_eq!(keys.keys().count(), 0);
    assert_eq!(json(&keys), "{}");
}

#[test]
fn one_hash_is_a_string_and_several_are_a_list_whatever_the_order_of_adding() {
    let mut keys = HashedKeys::with_capacity(4);
    let reading = reading("", true);
    keys.add(ExternalId, "12345", &reading).unwrap();
    keys.add(Email, "john_smith@gmail.com", &reading).unwrap();
    keys.add(Country, "br", &reading).unwrap();
    keys.add(Email, "mary@example.com", &reading).unwrap();
    keys.add(Email, &format!("{JOHN}.AQQAAQMC"), &reading).unwrap();
    keys.add(Email, "JOHN_SMITH@gmail.com", &reading).unwrap();
    let expected = format!(
        "{{\"em\":[\"{JOHN}\",\"{MARY}\"],\
         \"country\":\"885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d\",\
         \"external_id\":\"5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\"}}"
    );
    assert_eq!(json(&keys), expected);
    assert_eq!(keys.keys().collect::<Vec<_>>(), [Email, Country, ExternalId]);
    assert!(keys.contains(Country) && !keys.contains(City));
    assert_eq!(format!("{keys:?}"), r#"{"em", "country", "external_id"}"#);
}

#[test]
fn a_key_that_takes_one_value_refuses_a_second_but_not_the_same_again() {
    let mut keys = HashedKeys::new();
    let reading = reading("", true);
    keys.add(BirthYear, "1990", &reading).unwrap();
    keys.add(BirthYear, "1990", &reading).unwrap();
    let refused = keys.add(BirthYear, "1991", &reading).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "it is a second value of an identifier that takes only one"
    );
    assert_eq!(keys.get(BirthYear).collect::<Vec<_>>(), [&sha256_hex(b"1990")]);
}

#[test]
fn keys_are_known_by_the_names_meta_gives_them() {
    let names = MatchKey::ALL.map(MatchKey::wire_name);
    assert_eq!(
        names,
        [
            "em",
            "ph",
            "fn",
            "ln",
            "ge",
            "db",
            "ct",
            "st",
            "zp",
            "country",
            "external_id",
            "f5first",
            "f5last",
            "fi",
            "dobd",
            "dobm",
            "doby",
            "app_user_id",
        ]
    );
    for key in MatchKey::ALL {
        assert_eq!(MatchKey::from_wire_name(key.wire_name()), Some(key));
    }
    assert_eq!(MatchKey::from_wire_name("EM"), None);
    assert_eq!(MatchKey::from_wire_name("fbp"), None);
    let many: Vec<_> = MatchKey::ALL
        .into_iter()
        .filter(|key| key.takes_many())
        .map(MatchKey::wire_name)
        .collect();
    assert_eq!(many, names[..11]);
}
