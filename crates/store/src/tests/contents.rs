use super::*;
use crate::Put;

#[tokio::test]
async fn a_content_is_kept_until_it_differs() {
    for place in Place::both() {
        let store = place.store();
        let file = id("file");
        let content = vec![("a".to_owned(), 1.5)];
        assert_eq!(store.content::<Vec<(String, f64)>>(&file).await.unwrap(), None);
        assert_eq!(store.put_content(&file, &content).await.unwrap(), Put::New);
        assert_eq!(store.put_content(&file, &content).await.unwrap(), Put::Known);
        assert_eq!(store.content(&file).await.unwrap(), Some(content));
        not_what_it_says(store.content::<u32>(&file).await, "not understood");
        assert_eq!(store.put_content(&file, &7).await.unwrap(), Put::New);
        assert_eq!(store.content(&file).await.unwrap(), Some(7));
    }
}
