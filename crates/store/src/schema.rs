//! The columns that the diesel DSL is used on, written by hand. Statements in `.sql` files name what they
//! need themselves.

diesel::define_sql_function! {
    /// The database's clock, which tests move.
    fn rastro_now() -> diesel::sql_types::Timestamptz;
}

diesel::table! {
    api_keys (key_hash) {
        key_hash -> Bytea,
        dataset_id -> Nullable<Int8>,
        kind -> Text,
        label -> Text,
        key_id -> Int8,
        event_names -> Nullable<Array<Text>>,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        shown -> Nullable<Text>,
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
        allowed_origins -> Nullable<Array<Text>>,
        cookie_domain -> Nullable<Text>,
        purchase_source -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        time_zone -> Text,
        lead_events -> Jsonb,
        meta_name -> Nullable<Text>,
        token_checked_at -> Nullable<Timestamptz>,
        retired_at -> Nullable<Timestamptz>,
        remember_clicks -> Bool,
        lead_value -> Text,
        lead_value_minimum_orders -> Int4,
    }
}

diesel::table! {
    admin_log (entry_id) {
        entry_id -> Int8,
        at -> Timestamptz,
        who -> Text,
        action -> Text,
        dataset_id -> Nullable<Int8>,
        key_id -> Nullable<Int8>,
        detail -> Jsonb,
    }
}

diesel::table! {
    circuit_breakers (dataset_id) {
        dataset_id -> Int8,
        state -> Text,
        generation -> Int8,
        reason -> Nullable<Text>,
        since -> Timestamptz,
        open_until -> Nullable<Timestamptz>,
        outage_since -> Nullable<Timestamptz>,
        open_count -> Int4,
        probe_until -> Nullable<Timestamptz>,
        probe_successes -> Int4,
        probe_failures -> Int4,
        manual -> Text,
        manual_until -> Nullable<Timestamptz>,
        note -> Text,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    meta_retry_queue (dataset_id, event_number) {
        dataset_id -> Int8,
        event_number -> Int8,
        day -> Date,
        test_event_code -> Text,
        event_name -> Nullable<Text>,
        event_id -> Nullable<Text>,
        send_by -> Timestamptz,
        retry_count -> Int2,
        next_retry_at -> Nullable<Timestamptz>,
        last_error -> Text,
        error_code -> Nullable<Int4>,
        error_subcode -> Nullable<Int4>,
        status -> Text,
        reason -> Nullable<Text>,
        failed_at -> Timestamptz,
        failed_alone -> Bool,
    }
}

diesel::table! {
    events (dataset_id, event_number) {
        dataset_id -> Int8,
        event_number -> Int8,
        payload -> Text,
    }
}

diesel::table! {
    send_queue (dataset_id, test_event_code, first_number) {
        dataset_id -> Int8,
        test_event_code -> Text,
        first_number -> Int8,
    }
}

diesel::table! {
    send_batches (dataset_id, batch_id) {
        dataset_id -> Int8,
        batch_id -> Int8,
        fence -> Int4,
        owner -> Text,
    }
}

diesel::joinable!(api_keys -> datasets (dataset_id));

diesel::allow_tables_to_appear_in_same_query!(api_keys, datasets,);
