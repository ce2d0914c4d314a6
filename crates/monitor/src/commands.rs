//! What the program does beside checking and serving: one answer on standard output.

use rastro_core::dataset::DatasetId;

/// Sends one test event and says what Meta answers.
///
/// # Errors
/// When it could not be sent.
pub async fn verify(_dataset: DatasetId) -> anyhow::Result<()> {
    anyhow::bail!("verify is not built yet")
}

/// Prints a text and a line break.
///
/// # Errors
/// Never; commands answer alike.
#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
pub fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
