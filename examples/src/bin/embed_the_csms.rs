//! The certificate service of a CSMS in a process of one's own, configured by the file that is the
//! first argument. Prints its URL and serves until SIGTERM or Ctrl-C.

use std::error::Error;

use csms::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: embed_the_csms CSMS_TOML")?;
    let config = Config::parse(&std::fs::read_to_string(file)?)?;
    let server = Server::bind(config, None).await?;
    println!("{}", server.url());
    server.serve(program::shutdown_signal()).await?;
    Ok(())
}
