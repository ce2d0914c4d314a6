//! What the program does beside serving: one answer on standard output.

use attribution::config::Config;
use rastro_store::Store;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn account() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let store = Store::new(&config.common.database, "attribution")?;
    match attribution::put_account(&store, &config).await? {
        Some(account) => print(&format!("Mercado Pago account {account} is as configured")),
        None => print("no Mercado Pago account is configured"),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
