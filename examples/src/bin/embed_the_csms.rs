//! The certificate service of a CSMS in another process. The first argument is its configuration
//! file. Prints the URL of the service and serves until SIGTERM or Ctrl-C.

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
