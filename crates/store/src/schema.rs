// @generated automatically by Diesel CLI.

diesel::table! {
    api_keys (key_hash) {
        key_hash -> Bytea,
        dataset_id -> Int8,
        kind -> Text,
        label -> Text,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    datasets (dataset_id) {
        dataset_id -> Int8,
        name -> Text,
        access_token_sealed -> Bytea,
        default_country -> Nullable<Text>,
        default_currency -> Nullable<Text>,
        test_event_code -> Nullable<Text>,
        test_event_code_expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(api_keys -> datasets (dataset_id));

diesel::allow_tables_to_appear_in_same_query!(api_keys, datasets,);
