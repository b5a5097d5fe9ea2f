//! What is in use cannot be deleted, and is free when nobody uses it.

use anyhow::{Result, ensure};

use crate::shop::{Shop, setup};
use crate::support::{SOON, Setup};

/// Who is asked to be deleted, and what the refusal speaks of.
const USED: [(&str, &str); 3] = [
    ("TrafficPolicyVersion", "shop/web-v1"),
    ("TrafficPolicy", "shop/web"),
    ("HostedZone", "shop/example-com"),
];

#[tokio::test]
async fn admission_refuses_and_says_why() -> Result<()> {
    let shop = Shop::open(setup("in-use-admission")).await?;
    let fleet = &shop.fleet;
    for (kind, object) in USED {
        fleet
            .status(kind, object, "it is in use", |status| {
                status["records"]["total"] == 1 || status["records"]["policyRecords"] == 1
            })
            .await?;
        let refused = fleet.delete(kind, object).await;
        let refused = refused
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        ensure!(refused.contains("PolicyRecord"), "{kind}: {refused}");
    }
    // A version that nothing serves goes at once.
    fleet.delete("TrafficPolicyVersion", "shop/web-v2").await?;
    fleet.gone("TrafficPolicyVersion", "shop/web-v2").await?;
    fleet.delete("PolicyRecord", "shop/www").await?;
    for (kind, object) in USED {
        fleet
            .status(kind, object, "it is free", |status| {
                status["records"]["total"] == 0 || status["records"]["policyRecords"] == 0
            })
            .await?;
        fleet.delete(kind, object).await?;
        fleet.gone(kind, object).await?;
    }
    Ok(())
}

/// Where there are no admission policies, the finalizer holds objects.
#[tokio::test]
async fn the_finalizer_holds_them_while_they_are_used() -> Result<()> {
    let shop = Shop::open(Setup {
        admission: false,
        ..setup("in-use-finalizer")
    })
    .await?;
    let fleet = &shop.fleet;
    let load = shop.load(&fleet.servers()).await?;
    for (kind, object) in USED {
        fleet.delete(kind, object).await?;
        let message = fleet.fails(kind, object, "Ready", "InUse").await?;
        ensure!(message.starts_with("deletion waits"), "{kind}: {message}");
    }
    load.more(300, SOON).await?;
    // A version is free as soon as nobody serves it, and not before.
    shop.serve(2).await?;
    fleet.gone("TrafficPolicyVersion", "shop/web-v1").await?;
    shop.serves_everywhere(2).await?;
    load.more(300, SOON).await?;
    shop.switched(&load.stop().await?, &[1, 2])?;
    fleet.delete("PolicyRecord", "shop/www").await?;
    for (kind, object) in USED {
        fleet.gone(kind, object).await?;
    }
    Ok(())
}
