pub mod baseline;
pub async fn bench() -> anyhow::Result<bool> {
    Ok(true)
}
