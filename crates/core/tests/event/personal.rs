//! Personal data outside `user_data`: by what it is called, and by what it looks like.

use serde_json::{Value, json};

use super::*;

const PERSONAL: &str =
    "was left out: it looks like personal data, which belongs in user_data, where it is hashed";

/// Whether a field of this name is left out, whatever it holds.
fn is_left_out(name: &str) -> bool {
    let sent = sent(&lead_with("/custom_data", json!({name: "x", "plan": "y"})));
    sent["custom_data"].get(name).is_none()
}

#[test]
fn names_of_personal_data_are_known_in_portuguese_and_english_in_any_order_and_number() {
    for name in [
        "cpf_cliente",
        "cliente_cpf",
        "cpfs_dos_clientes",
        "cnpj",
        "telefone_cliente",
        "clienteTelefone",
        "TELEFONE_DO_CLIENTE",
        "telefones",
        "celular_comprador",
        "celulares",
        "customer_phone",
        "phone_customer",
        "customer_phones",
        "phone_numbers",
        "numero_telefone",
        "num_celular",
        "whatsapp_cliente",
        "tel",
        "tel_cliente",
        "cel",
        "fone",
        "email_cliente",
        "emails",
        "e-mails",
        "customer_emails",
        "emailcliente",
        "customeremail",
        "nome_cliente",
        "cliente_nome",
        "nome_do_cliente",
        "nomeCliente",
        "nomecliente",
        "nomes_clientes",
        "NomeCompleto",
        "nome_da_mae",
        "nome_social",
        "primeiro_nome",
        "ultimo_nome",
        "nome_titular",
        "customer_name",
        "name_of_customer",
        "buyer_full_name",
        "user_name",
        "first_names",
        "last_name_2",
        "sobrenome_comprador",
        "data_nascimento_cliente",
        "dt_nascimento",
        "data_nasc",
        "nascimento",
        "customer_birth_date",
        "date_of_birth",
        "rg",
        "rg_cliente",
        "documento_cliente",
        "customer_document",
        "tax_id",
        "endereco_cliente",
        "endereço_de_cobrança_cliente",
        "customer_address",
        "billing_address",
        "cep_cliente",
        "ip_address",
        "numero_cartao",
        "card_number",
        "senha",
        "fn",
        "ln",
    ] {
        assert!(is_left_out(name), "{name}");
    }
}

#[test]
fn names_that_only_hold_such_a_word_stay() {
    for name in [
        "name",
        "nome",
        "nome_produto",
        "product_name",
        "nome_da_campanha",
        "campaign_name",
        "last_campaign_name",
        "customer_company_name",
        "smartphone",
        "headphones",
        "telefonia",
        "phone_model",
        "phone_plan",
        "modelo_celular",
        "capa_celular",
        "fone_bluetooth",
        "email_opt_in",
        "aceita_email_marketing",
        "email_template",
        "email_campaign_id",
        "whatsapp_group",
        "newsletter_status",
        "mailing",
        "city",
        "cidade",
        "country",
        "region",
        "neighborhood",
        "postal_code",
        "endereco_loja",
        "store_address",
        "new_customer",
        "customer_type",
        "tipo_cliente",
        "lead_score",
        "shipping",
        "payment_method",
        "cartao",
        "metodo",
        "tax_class",
        "cpfl",
        "rgb",
        "graph",
    ] {
        assert!(!is_left_out(name), "{name}");
    }
}

#[test]
fn what_stands_inside_a_person_is_theirs() {
    let sent = assert_warned(
        &lead_with(
            "/custom_data",
            json!({
                "cliente": {"nome": "Ana", "doc": "1", "plano": "ouro",
                    "endereco": {"rua": "A", "cidade": "Ubatuba"}},
                "customers": [{"name": "Ana"}],
                "produto": {"nome": "Sofá"},
            }),
        ),
        &[
            ("/custom_data/cliente/nome", PERSONAL),
            ("/custom_data/cliente/doc", PERSONAL),
            ("/custom_data/cliente/endereco/rua", PERSONAL),
            ("/custom_data/customers/0/name", PERSONAL),
        ],
    );
    assert_eq!(
        sent["custom_data"],
        json!({
            "cliente": {"plano": "ouro",
                    "endereco": {"cidade": "Ubatuba"}},
            "customers": [{}],
            "produto": {"nome": "Sofá"},
        })
    );
}

/// Test numbers: 123.456.789-09 and 11.222.333/0001-81 have valid check digits and belong to nobody.
#[test]
fn documents_and_phones_are_known_by_their_shape_anywhere_outside_user_data() {
    for text in [
        "123.456.789-09",
        "12345678909",
        "CPF: 123.456.789-09",
        "CPF 12345678909, pago",
        "123 456 789 09",
        "11.222.333/0001-81",
        "11222333000181",
        "(11) 91234-5678",
        "(11)91234-5678",
        "(11) 912345678",
        "(11) 3222-1234",
        "11 91234-5678",
        "11 9 1234 5678",
        "11 91234 5678",
        "11912345678",
        "011 91234-5678",
        "5511912345678",
        "+5511912345678",
        "+55 (11) 91234-5678",
        "+55 11 91234-5678",
        "+1 650 555 1212",
        "+351 912 345 678",
        "ligar para (11) 91234-5678 hoje",
        "pedido 12 do (11) 91234-5678",
        "Ana <ana@example.com>",
    ] {
        let event = lead_with("/custom_data", json!({"observacao": text, "plan": "x"}));
        let sent = assert_warned(&event, &[("/custom_data/observacao", PERSONAL)]);
        assert_eq!(sent["custom_data"], json!({"plan": "x"}), "{text}");
    }
    for number in [
        json!(12_345_678_909_u64),
        json!(11_912_345_678_u64),
        json!(5_511_912_345_678_u64),
    ] {
        let event = lead_with("/custom_data", json!({"contato": number, "plan": "x"}));
        assert_warned(&event, &[("/custom_data/contato", PERSONAL)]);
    }
    let elsewhere = changed(
        lead_with("/app_data", json!({"install_referrer": "CPF 123.456.789-09"})),
        "/custom_data",
        json!({"search_string": "(11) 91234-5678", "contents": [{"id": "1", "title": "123.456.789-09"}]}),
    );
    assert_warned(
        &elsewhere,
        &[
            ("/custom_data/search_string", PERSONAL),
            ("/custom_data/contents/0/title", PERSONAL),
            ("/app_data/install_referrer", PERSONAL),
        ],
    );
}

#[test]
fn numbers_of_other_things_stay() {
    for text in [
        "12345678901", // eleven digits, but no CPF: the check digits are others
        "123.456.789-00",
        "111.111.111-11",
        "11.222.333/0001-80",
        "1700000000",    // seconds
        "1700000000123", // milliseconds
        "2026-12-26 18:00:00",
        "2026-11-27T18:00:00-03:00",
        "10,5 x 20,30 x 40 cm",
        "-23.5505199,-46.6333094",
        "1.234.567,89",
        "7891234567895",
        "v1.2.3.4",
        "4600-4601-4602",
        "120212345678901234",
        "iPhone 15 256 GB",
        "15 3200 2400",
        "0800 722 1234",
        "",
    ] {
        let event = lead_with("/custom_data", json!({"observacao": text, "plan": "x"}));
        let sent = assert_warned(&event, &[]);
        assert_eq!(
            sent["custom_data"].get("observacao").is_some(),
            !text.is_empty(),
            "{text}"
        );
    }
    // Ids are numbers of any length: one in a hundred has the check digits of a CPF by chance.
    let ids = json!({
        "order_id": "12345678909", "content_ids": ["12345678909", "11912345678"],
        "pedido": 12_345_678_909_u64,
        "contents": [{"id": "11222333000181", "sku": "12345678909"}], "gtin": "11222333000181",
        "transaction_id": "11912345678", "valor_total": 12_345_678_909_u64, "protocolo": "11912345678",
    });
    let sent_ids = assert_warned(&lead_with("/custom_data", ids.clone()), &[])["custom_data"].clone();
    assert_eq!(
        sent_ids.as_object().unwrap().len(),
        ids.as_object().unwrap().len()
    );
    // Written as one it is one, also in an id.
    let sent = assert_warned(
        &lead_with("/custom_data", json!({"order_id": "123.456.789-09", "plan": "x"})),
        &[("/custom_data/order_id", PERSONAL)],
    );
    assert_eq!(sent["custom_data"], json!({"plan": "x"}));
}

#[test]
fn a_pages_address_loses_them_too() {
    for (url, expected) in [
        (
            "https://x.br/ok?cpf_cliente=1&a=2",
            "https://x.br/ok?cpf_cliente=&a=2",
        ),
        ("https://x.br/ok?u=123.456.789-09&a=2", "https://x.br/ok?u=&a=2"),
        ("https://x.br/ok?u=%28%31%31%29+91234-5678", "https://x.br/ok?u="),
        ("https://x.br/ok?u=%2B55+11+91234-5678#b", "https://x.br/ok?u=#b"),
        ("https://x.br/ok?q=11912345678", "https://x.br/ok?q="),
        ("https://x.br/c/123.456.789-09/x", "https://x.br/c//x"),
    ] {
        let event = lead_with("/event_source_url", json!(url));
        assert_eq!(sent(&event)["event_source_url"], expected, "{url}");
    }
    for url in [
        "https://x.br/p/12345678909?order_id=12345678909&utm_id=12345678909&utm_content=11912345678",
        "https://x.br/?fbclid=IwAR0123456789012345&gclid=Cj0KCQ12345678909",
        "https://x.br/obrigado?pedido=11912345678&key=wc_order_x7Yz",
    ] {
        assert_eq!(
            assert_warned(&lead_with("/event_source_url", json!(url)), &[])["event_source_url"],
            url
        );
    }
}

#[test]
fn flags_say_nothing_about_a_person() {
    let flags = json!({"whatsapp": true, "email": false, "phone": null, "celular": ""});
    let sent: Value = assert_warned(&lead_with("/custom_data", flags), &[]);
    assert_eq!(sent["custom_data"], json!({"whatsapp": true, "email": false}));
}
