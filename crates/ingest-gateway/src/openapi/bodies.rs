//! What clients may send. Bodies are read field by field, so that every wrong one can be named, which leaves
//! no type to derive a schema from: these types are only read by the generator of the schema.

use serde::Serialize;
use utoipa::ToSchema;

/// One event, or a batch of at most 1,000.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ConversionsBody {
    #[schema(title = "One event")]
    One(Box<ServerEvent>),
    #[schema(title = "A batch")]
    Batch(Box<EventBatch>),
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EventBatch {
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<ServerEvent>,
    /// Shows all of these events in Meta's Test Events.
    #[schema(max_length = 64, example = "TEST12345")]
    test_event_code: Option<String>,
    /// When this was sent, in milliseconds by the sender's clock. With a publishable key, events' times are
    /// corrected by a difference of more than a minute.
    #[schema(example = 1795808043105_i64)]
    sent_at: Option<i64>,
    /// Which script sent it.
    sdk: Option<String>,
    consent: Option<ConsentRecord>,
    /// First and last touch. With a publishable key the last is stored with the visitor's id (external_id) where
    /// an event happened within half an hour of it.
    #[schema(value_type = Option<Object>)]
    attribution: Option<()>,
    /// In place of the header X-Idempotency-Key.
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
}

/// What Meta's edge takes. Parameters that only concern Meta's own tools are ignored.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphBody {
    /// 1 to 1,000 events, or their JSON as texts.
    #[schema(min_items = 1, max_items = 1000)]
    data: Vec<ServerEvent>,
    #[schema(max_length = 64, example = "TEST12345")]
    test_event_code: Option<String>,
    /// A secret key of the dataset.
    access_token: Option<String>,
    partner_agent: Option<String>,
    namespace_id: Option<String>,
    upload_id: Option<String>,
    upload_tag: Option<String>,
    upload_source: Option<String>,
}

/// The same as a form.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphForm {
    /// The list of events as JSON, or of their JSON as texts.
    #[schema(example = "[{\"event_name\":\"Lead\",\"event_time\":1790000000,\"action_source\":\"other\"}]")]
    data: String,
    test_event_code: Option<String>,
    access_token: Option<String>,
}

/// What the visitor agreed to. Unless both `ad_storage` and `ad_user_data` are granted, the events are stored
/// without `user_data`, logged as withheld, and never sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsentRecord {
    /// granted, denied or pending.
    #[schema(example = "granted")]
    ad_storage: Option<String>,
    #[schema(example = "granted")]
    ad_user_data: Option<String>,
    ad_personalization: Option<String>,
    analytics_storage: Option<String>,
    /// In milliseconds since 1970.
    at: Option<i64>,
    #[schema(example = "banner")]
    source: Option<String>,
}

/// A server event of the Conversions API, with identifiers as you have them: they are normalised and hashed
/// here. Any other field is refused by its name. What is required and cannot be read refuses the event; any
/// other detail is left out, or rounded, and the answer's warnings say so. Empty text is null.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerEvent {
    /// A standard event (Lead, Purchase, ...) or a name of your own. With a publishable key only what pages
    /// send: PageView, ViewContent, Lead, Schedule, ..., and no Purchase.
    #[schema(max_length = 100, example = "Purchase")]
    event_name: String,
    /// When it happened, in seconds since 1970: at most 7 days ago (62 for physical_store). A browser's clock
    /// may be ahead: with a publishable key the event is then taken to have happened now.
    #[schema(example = 1790000000)]
    event_time: i64,
    /// The same as the Pixel's eventID; an order number is fine. Name and id together are accepted once.
    /// Without one, or with a placeholder (undefined, {{order.id}}), an id is made from the event's content
    /// and from who sent it: the _fbp or _fbc cookie, else the address and the user agent.
    #[schema(max_length = 255, example = "order-1042")]
    event_id: Option<String>,
    /// website, app, physical_store, business_messaging, email, phone_call, chat, system_generated or other.
    /// With a publishable key website (or system_generated).
    #[schema(example = "website")]
    action_source: String,
    /// Required for website events. An fbclid in it becomes the event's fbc.
    #[schema(example = "https://www.clinica.com.br/obrigado?utm_source=meta")]
    event_source_url: Option<String>,
    referrer_url: Option<String>,
    user_data: UserData,
    custom_data: Option<CustomData>,
    /// Use the event for attribution only, not for the delivery of ads.
    opt_out: Option<bool>,
    /// ["LDU"] limits the use of the data; [] says that it is not limited.
    data_processing_options: Option<Vec<String>>,
    data_processing_options_country: Option<i64>,
    data_processing_options_state: Option<i64>,
    /// Required for app events: advertiser_tracking_enabled and extinfo.
    #[schema(value_type = Option<Object>)]
    app_data: Option<()>,
    /// Ties a delayed event to an earlier one.
    #[schema(value_type = Option<Object>)]
    original_event_data: Option<()>,
    #[schema(value_type = Option<Object>)]
    attribution_data: Option<()>,
    /// Required for business_messaging: whatsapp, messenger or instagram. Left out with a publishable key.
    messaging_channel: Option<String>,
    customer_segmentation: Option<String>,
    advanced_measurement_table: Option<String>,
    /// Shows this event in Meta's Test Events, instead of the batch's code. Not with a publishable key.
    #[schema(max_length = 64)]
    test_event_code: Option<String>,
}

/// One value or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Who the event is about. What is already hashed (SHA-256, 64 hex digits) stays as it is. The address, the
/// user agent, fbc, fbp and the plain ids are stored and sent as they are; they are personal data too.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserData {
    /// E-mail.
    #[schema(example = "ana@example.com")]
    em: Option<OneOrMany>,
    /// Phone, in any usual form; without a country code it is read as of the dataset's country.
    ph: Option<OneOrMany>,
    /// First name.
    #[serde(rename = "fn")]
    first_name: Option<OneOrMany>,
    /// Last name.
    ln: Option<OneOrMany>,
    /// Gender.
    ge: Option<OneOrMany>,
    /// Date of birth.
    db: Option<OneOrMany>,
    /// City.
    ct: Option<OneOrMany>,
    /// State, as a code or a name.
    st: Option<OneOrMany>,
    /// Postcode.
    zp: Option<OneOrMany>,
    country: Option<OneOrMany>,
    /// Your own stable id of the person.
    external_id: Option<OneOrMany>,
    /// The visitor's address, never your server's. With a publishable key it is taken from the request.
    client_ip_address: Option<String>,
    /// Required for website events. With a publishable key it is taken from the request.
    client_user_agent: Option<String>,
    /// Meta's click id. Taken from the _fbc cookie, or made from an fbclid in event_source_url.
    fbc: Option<String>,
    /// Meta's browser id. Taken from the _fbp cookie.
    fbp: Option<String>,
    subscription_id: Option<String>,
    fb_login_id: Option<i64>,
    lead_id: Option<i64>,
    anon_id: Option<String>,
    madid: Option<String>,
    page_id: Option<String>,
    page_scoped_user_id: Option<String>,
    ctwa_clid: Option<String>,
    ig_account_id: Option<String>,
    ig_sid: Option<String>,
    whatsapp_business_account_id: Option<String>,
}

/// What it was about and worth. Names of your own are passed on as they are; what looks like personal data is
/// left out, with a warning.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomData {
    /// Required for Purchase, in major units: 129.90 is R$ 129,90.
    #[schema(example = 129.90)]
    value: Option<f64>,
    /// Required for Purchase, unless the dataset has a default: an ISO 4217 code.
    #[schema(example = "BRL")]
    currency: Option<String>,
    net_revenue: Option<f64>,
    predicted_ltv: Option<f64>,
    content_ids: Option<Vec<String>>,
    contents: Option<Vec<Content>>,
    /// product, product_group, hotel, flight, destination, vehicle, home_listing, ...
    content_type: Option<String>,
    content_name: Option<String>,
    content_category: Option<String>,
    order_id: Option<String>,
    num_items: Option<i64>,
    search_string: Option<String>,
    status: Option<String>,
    /// in_store, curbside or home_delivery.
    delivery_category: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Content {
    id: String,
    quantity: Option<i64>,
    item_price: Option<f64>,
    delivery_category: Option<String>,
}

/// A lead. Beside these fields a page's script sends its envelope, as with conversions.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadBody {
    lead: LeadFields,
    /// The Lead as the page knows it, with the Pixel's event_id. Where it has no contact data it gets the
    /// lead's. Without one, an event is made from the lead.
    #[schema(value_type = Option<Object>)]
    event: Option<()>,
    /// Whoever filled in the form is there and is shown the errors of the answer: a phone that cannot be read
    /// is then refused, also beside a good e-mail.
    asks: Option<bool>,
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
    #[schema(max_length = 64)]
    test_event_code: Option<String>,
}

/// A form's fields. Names of your own are kept too, up to 5,000 bytes each; all of them are stored sealed.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadFields {
    #[schema(example = "Ana de Souza")]
    name: Option<String>,
    #[schema(example = "ana@example.com")]
    email: Option<String>,
    #[schema(example = "(11) 91234-5678")]
    phone: Option<String>,
    message: Option<String>,
    cpf: Option<String>,
    /// Your own stable id of the person.
    external_id: Option<String>,
}

/// Where a lead has come.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadStepBody {
    /// qualified, scheduled, customer or lost. A lead moves on, not back; one that was lost may be found
    /// again.
    #[schema(example = "scheduled")]
    status: String,
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
}

/// An order. Beside these fields a page's script sends its envelope, as with conversions.
#[derive(Serialize, ToSchema)]
pub(crate) struct PurchaseBody {
    purchase: PurchaseFields,
    /// The Purchase as the page knows it. Its event_id is the order's id.
    #[schema(value_type = Option<Object>)]
    event: Option<()>,
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
    #[schema(max_length = 64)]
    test_event_code: Option<String>,
}

/// What was ordered. Names of your own are kept as they are, without personal data.
#[derive(Serialize, ToSchema)]
pub(crate) struct PurchaseFields {
    /// Your own number of the order. It is recorded once for good.
    #[schema(max_length = 200, example = "order-1042")]
    order_id: String,
    /// In major units, more than zero: 129.90 is R$ 129,90.
    #[schema(example = 129.90)]
    value: f64,
    /// Required unless the dataset has a default; if it has one, no other.
    #[schema(example = "BRL")]
    currency: Option<String>,
    /// pending, approved (the default), refunded or cancelled. It only moves on.
    #[schema(example = "approved")]
    status: Option<String>,
    items: Option<Vec<Content>>,
    /// The lead that became this order. Without it the lead is looked for by what follows.
    lead_id: Option<i64>,
    external_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    cpf: Option<String>,
}

/// A new dataset: what is required, and settings as in a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewDatasetBody {
    /// Meta's number of the dataset (pixel), as Events Manager shows it.
    #[schema(example = "123456789012345")]
    dataset_id: String,
    /// From Events Manager, Settings, Conversions API. It is stored sealed and never shown.
    #[schema(max_length = 2000)]
    access_token: String,
    #[serde(flatten)]
    settings: DatasetBody,
}

/// Settings of a dataset. What is not named stays; null takes away what can be.
#[derive(Serialize, ToSchema)]
pub(crate) struct DatasetBody {
    /// By default what Meta calls it.
    #[schema(max_length = 100, example = "Clínica Boa Vista")]
    name: Option<String>,
    /// How phones, states and dates of birth are read of people who give no country.
    #[schema(example = "br")]
    default_country: Option<String>,
    /// Of values that name none.
    #[schema(example = "BRL")]
    default_currency: Option<String>,
    /// Where the business's days begin and end.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: Option<String>,
    /// Marks all events for Meta's Test Events until test_event_code_until, which goes with it.
    #[schema(max_length = 64, example = "TEST12345")]
    test_event_code: Option<String>,
    test_event_code_until: Option<chrono::DateTime<chrono::Utc>>,
    /// Which pages may send with the publishable keys. Empty: those of the gateway's own host.
    #[schema(max_items = 50, example = json!(["https://www.clinica.com.br", "https://*.clinica.com.br"]))]
    allowed_origins: Option<Vec<String>>,
    /// The domain for which answers to pages refresh the visitor's cookies.
    #[schema(example = "clinica.com.br")]
    cookie_domain: Option<String>,
    /// recorded: an order recorded as approved becomes a Purchase. verified: only a confirmed payment does.
    #[schema(example = "recorded")]
    purchase_source: Option<String>,
    /// Which event a lead becomes when it comes to a status (qualified, scheduled, customer, lost). The map
    /// is the whole map.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>, example = json!({"scheduled": "Schedule"}))]
    lead_events: Option<()>,
    /// Whether an event that comes without a click id gets the one that is remembered of its person.
    remember_clicks: Option<bool>,
    /// none, or predicted: a Lead without a value gets conversion rate times mean net order of its campaign.
    #[schema(example = "none")]
    lead_value: Option<String>,
    /// A campaign with fewer orders predicts nothing.
    #[schema(minimum = 1, maximum = 1_000_000, example = 30)]
    lead_value_minimum_orders: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    #[schema(max_length = 2000)]
    access_token: String,
}

/// A key to be made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewKeyBody {
    /// publishable (pages), secret (servers), admin (operators, of all datasets) or viewer (the dashboard, of
    /// one dataset or all).
    #[schema(example = "secret")]
    kind: String,
    /// Where it is used.
    #[schema(max_length = 100, example = "loja, servidor")]
    label: String,
    /// Required for publishable and secret keys, not for admin keys.
    #[schema(example = "123456789012345")]
    dataset_id: Option<String>,
    /// The event names that it may send, if not those of its kind.
    #[schema(max_items = 50)]
    event_names: Option<Vec<String>>,
}

/// Whom it is about: at least one of these. Several name the same person.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonBody {
    #[schema(max_length = 320, example = "ana@example.com")]
    email: Option<String>,
    /// In any usual form; without a country code it is read as of the dataset's country.
    #[schema(max_length = 320, example = "(11) 91234-5678")]
    phone: Option<String>,
    #[schema(max_length = 320)]
    cpf: Option<String>,
    /// The lead_id of the answer to a capture.
    #[schema(minimum = 1)]
    lead_id: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureBody {
    #[serde(flatten)]
    person: PersonBody,
    /// Only says how much would be erased.
    dry_run: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ExportBody {
    #[serde(flatten)]
    person: PersonBody,
    /// json (the default) or csv.
    #[schema(example = "json")]
    format: Option<String>,
}

/// Which dead letters to send again. At least one condition, or all.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetryFailedBody {
    #[schema(example = "123456789012345")]
    dataset_id: Option<String>,
    /// Our numbers of the events.
    #[schema(max_items = 10000)]
    event_numbers: Option<Vec<i64>>,
    /// The clients' ids of the events.
    #[schema(max_items = 10000)]
    event_ids: Option<Vec<String>>,
    /// Meta's code.
    #[schema(example = 100)]
    error_code: Option<i32>,
    /// refused or exhausted.
    reason: Option<String>,
    failed_from: Option<chrono::DateTime<chrono::Utc>>,
    failed_before: Option<chrono::DateTime<chrono::Utc>>,
    /// Every dead letter there is. Instead of conditions.
    all: Option<bool>,
    /// Only counts.
    dry_run: Option<bool>,
    #[schema(minimum = 1, maximum = 100000, default = 10000)]
    limit: Option<i64>,
    /// Over how long the events become due, so that they do not all come at once.
    #[schema(minimum = 0, maximum = 86400, default = 10)]
    spread_seconds: Option<i64>,
}

/// What the breaker shall do from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct BreakerBody {
    /// automatic, forced_open (nothing is sent) or forced_closed (everything is sent).
    #[schema(example = "forced_open")]
    mode: String,
    /// When a forced mode ends by itself; without it, never.
    until: Option<chrono::DateTime<chrono::Utc>>,
    /// Why. Required with a forced mode.
    #[schema(max_length = 500, example = "Meta support asked us to pause")]
    note: Option<String>,
}
